//! WebSockets whose socket cannot be handed over: HTTP/2 streams (RFC 8441), and a host application that wraps its sockets.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/server.rs"]
mod server;

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, Version};
use bytes::Bytes;
use client::{PATIENCE, Ws};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use realtime_connector::{Builder, Config};
use realtime_connector_wire::websocket::{self, Decoder, Limits, Message, Opcode, Role};
use serde_json::{Value, json};
use server::Server;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Between frames, so that each comes alone.
const PAUSE: Duration = Duration::from_millis(20);

/// A WebSocket inside an HTTP/2 connection.
struct Stream {
    send: SendStream<Bytes>,
    receive: RecvStream,
    decoder: Decoder,
    /// Keeps the connection.
    _requests: SendRequest<Bytes>,
}

impl Stream {
    async fn open(addr: SocketAddr, path: &str) -> Self {
        let socket = TcpStream::connect(addr).await.expect("the server listens");
        let (requests, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut requests = requests.ready().await.expect("room for a stream");
        while !requests.is_extended_connect_protocol_enabled() {
            tokio::time::sleep(PAUSE).await;
        }
        let request = Request::builder()
            .method(Method::CONNECT)
            .version(Version::HTTP_2)
            .uri(format!("http://{addr}{path}"))
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .body(())
            .expect("a request");
        let (response, send) = requests.send_request(request, false).expect("a stream");
        let response = response.await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let decoder = Decoder::new(Role::Client);
        Self { send, receive: response.into_body(), decoder, _requests: requests }
    }

    fn say(&mut self, frame: &Value) {
        let mut bytes = Vec::new();
        websocket::encode_masked(&mut bytes, Opcode::Text, [9, 8, 7, 6], frame.to_string().as_bytes());
        self.send.send_data(bytes.into(), false).expect("the stream is open");
    }

    /// The next frame of the protocol.
    async fn hear(&mut self) -> Value {
        let limits = Limits { message_bytes_max: 1 << 20, frame_bytes_max: 1 << 20, fragments_max: 1 };
        loop {
            let data = tokio::time::timeout(PATIENCE, self.receive.data()).await.expect("the server answers");
            let data = data.expect("the stream goes on").expect("and works");
            self.receive.flow_control().release_capacity(data.len()).expect("what was received");
            let mut bytes = data.to_vec();
            let mut input = &mut bytes[..];
            while let Some(message) = self.decoder.decode(&mut input, &limits).expect("the server keeps the rules") {
                if let Message::Text(text) = message {
                    return serde_json::from_str(text).expect("frames are JSON");
                }
            }
        }
    }
}

/// The first chunk was heard and nothing after it.
#[tokio::test]
async fn an_http2_websocket_is_heard_for_as_long_as_it_lasts() {
    let server = Server::start(2).await;
    let mut stream = Stream::open(server.addr, "/ws?userId=ada").await;
    assert_eq!(stream.hear().await["op"], "connected");
    for reference in 1..=20 {
        stream.say(&json!({"op": "ping", "ref": reference}));
        assert_eq!(stream.hear().await["ref"], reference);
        tokio::time::sleep(PAUSE).await;
    }
    server.stop().await;
}

/// A socket that hides what it is, as TLS does.
struct Wrapped(TcpStream);

impl AsyncRead for Wrapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_websocket_of_a_host_that_wraps_its_sockets_is_heard_for_as_long_as_it_lasts() {
    let config = Config { workers: 2, ..Config::default() };
    let connector = Builder::new(config).dev().playground(false).build().expect("the configuration is sound");
    let router = connector.router::<()>().expect("it is guarded");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, peer)) = listener.accept().await {
            let service = router.clone().layer(axum::Extension(axum::extract::ConnectInfo(peer)));
            tokio::spawn(async move {
                let service = TowerToHyperService::new(service);
                let server = auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection_with_upgrades(TokioIo::new(Wrapped(socket)), service).await);
            });
        }
    });
    let mut ws = Ws::connect(addr, "/ws?userId=ada").await;
    assert_eq!(ws.recv_json().await["op"], "connected");
    for reference in 1..=20 {
        ws.send_json(&json!({"op": "ping", "ref": reference})).await;
        assert_eq!(ws.recv_json().await["ref"], reference);
        tokio::time::sleep(PAUSE).await;
    }
    connector.shutdown().await;
}
