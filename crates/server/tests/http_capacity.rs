//! What happens when there is no room: connections beyond the limit, and a process without descriptors.

mod http_support;

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use http_support::{Answer, PATIENCE, Server, UPGRADE, any_port};
use realtime_connector::Config;
use realtime_connector::config::Limits;
use serde_json::json;

async fn with_room_for(connections: u32) -> Server {
    let limits = Limits { connections, ..Limits::default() };
    Server::start(any_port(Config { limits, workers: 2, ..Config::default() })).await
}

/// Asks for a WebSocket until the answer has this status: what a server lets go takes a moment to be gone.
async fn until(server: &Server, status: u16) {
    let asked = async {
        while handshake(server, "/ws").await.status != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("no handshake was answered with {status}"));
}

/// The answer to a handshake; the connection, if it became one, is dropped at once.
async fn handshake(server: &Server, path: &str) -> Answer {
    server.ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n")).await
}

#[track_caller]
fn comes_later(answer: &Answer) {
    answer.refuses(503, "overloaded", None);
    let seconds: u64 = answer.header("retry-after").and_then(|value| value.parse().ok()).expect("seconds");
    assert!((1..=15).contains(&seconds), "{answer:?}");
    assert_eq!(answer.json()["retryable"], true);
}

#[tokio::test]
async fn beyond_the_limit_new_ones_are_asked_to_come_later_and_the_others_stay() {
    let server = with_room_for(2).await;
    let mut ada = server.stream("userId=ada&channel=c").await;
    let bob = server.stream("userId=bob&channel=c").await;
    let socket = handshake(&server, "/ws?channel=c").await;
    comes_later(&socket);
    assert_eq!(socket.json()["limit"], 2);
    comes_later(&server.send("POST", "/sse", &json!({"op": "connect"})).await);
    // An EventSource would take 503 for the end: it gets a stream that ends, and when to come back.
    let stream = server.get("/sse?channel=c").await;
    assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    let text = String::from_utf8(stream.body).expect("text");
    let retry: u32 = text.strip_prefix("retry: ").and_then(|rest| rest.trim().parse().ok()).expect("a retry line");
    assert!((5_000..15_000).contains(&retry), "{text}");
    // Those inside notice nothing, and everything else goes on.
    server.send("POST", "/api/broadcast", &json!({"type": "t", "channel": "c", "data": 1})).await;
    assert_eq!(ada.frame("message").await["data"], 1);
    assert_eq!(server.get("/api/connections").await.json()["items"].as_array().map(Vec::len), Some(2));
    server.is_alive().await;
    drop(bob);
    until(&server, 101).await;
}

#[tokio::test]
async fn every_place_comes_back_however_a_connection_ends() {
    let server = with_room_for(3).await;
    for round in 0..10 {
        let dropped = server.stream("channel=c").await;
        let ended = server.stream("channel=c").await;
        let half_closed = server.stream("channel=c").await;
        assert_eq!(handshake(&server, "/ws").await.status, 503, "round {round}: all places are taken");
        drop(dropped);
        server.request("DELETE", &format!("/api/connections/{}", ended.id), &[], b"").await;
        drop(ended);
        let socket = half_closed.socket.into_std().expect("a socket");
        socket.shutdown(std::net::Shutdown::Write).expect("it was open");
        // Handshakes that fail hold their place no longer than it takes to say so.
        for _ in 0..5 {
            handshake(&server, "/ws?channel=").await;
            server.get("/sse?channel=*").await;
        }
        for _ in 0..3 {
            until(&server, 101).await;
        }
        let gone = async {
            while server.get("/api/connections").await.json()["items"] != json!([]) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("they go");
    }
}

#[tokio::test]
async fn a_crowd_at_the_door_takes_exactly_the_places_there_are() {
    let server = with_room_for(10).await;
    let sockets = (0..60).map(|_| async {
        let mut socket = server.connect().await;
        let request = "GET /sse?channel=c HTTP/1.1\r\nHost: localhost\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.expect("the server reads");
        let mut answer = Vec::new();
        let mut chunk = [0; 1_024];
        // Either the first event comes, or the end.
        loop {
            let count = tokio::io::AsyncReadExt::read(&mut socket, &mut chunk).await.expect("an answer");
            answer.extend_from_slice(&chunk[..count]);
            let connected = String::from_utf8_lossy(&answer).contains("$connected");
            if connected || count == 0 {
                return (socket, connected);
            }
        }
    });
    let all = tokio::time::timeout(PATIENCE, futures_util::future::join_all(sockets)).await.expect("all are answered");
    assert_eq!(all.iter().filter(|(_, connected)| *connected).count(), 10);
    assert_eq!(server.get("/api/connections?limit=1000").await.json()["items"].as_array().map(Vec::len), Some(10));
}

/// Run by the next test as a process of its own, with few descriptors: serves until its standard input ends.
#[test]
#[ignore = "a part of the next test"]
fn server_with_few_descriptors() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = Server::start(any_port(Config { workers: 1, ..Config::default() })).await;
        println!("listening on {}", server.addr);
        drop(tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await);
    });
}

/// A server with few descriptors in a process of its own, which ends with this.
struct Starved {
    child: Child,
    address: SocketAddr,
    /// What it prints has to go somewhere.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Starved {
    fn start(descriptors: u32) -> Self {
        let program = std::env::current_exe().expect("this program");
        let words = "--exact server_with_few_descriptors --ignored --nocapture";
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" {words}")])
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = output
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").and_then(|(_, address)| address.trim().parse().ok()));
        Self { child, address: address.expect("it listens"), _output: output }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("the kernel accepts");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        socket
    }

    /// Sends a request and reads until `word` is there, or the end.
    fn ask(&self, request: &str, word: &str) -> (TcpStream, String) {
        let mut socket = self.connect();
        socket.write_all(request.as_bytes()).expect("the server reads");
        let text = read_until(&mut socket, word);
        (socket, text)
    }

    fn is_healthy(&self) {
        let health = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let (_, answer) = self.ask(health, "ok\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    /// CPU time of the process so far, in clock ticks.
    fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it lives");
        let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        // It ends with its input; should it not, it is not left behind.
        drop(self.child.stdin.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_until(socket: &mut TcpStream, word: &str) -> String {
    let mut text = String::new();
    let mut chunk = [0; 1_024];
    while !text.contains(word) {
        match socket.read(&mut chunk).expect("an answer in time") {
            0 => break,
            count => text.push_str(&String::from_utf8_lossy(&chunk[..count])),
        }
    }
    text
}

const STREAM: &str = "GET /sse?channel=c&format=frames HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_process_without_descriptors_waits_and_comes_back() {
    let mut server = Starved::start(80);
    let (mut ada, begin) = server.ask(STREAM, "connectionId");
    assert!(begin.contains("connectionId"), "{begin}");
    // More silent sockets than descriptors; the kernel accepts what the process cannot.
    let crowd: Vec<_> = (0..120).map(|_| server.connect()).collect();
    // Sleeps on purpose: what must not happen, a loop that spins, shows only while time passes.
    std::thread::sleep(Duration::from_millis(300));
    let before = server.cpu_ticks();
    std::thread::sleep(Duration::from_secs(1));
    let spent = server.cpu_ticks() - before;
    assert!(spent < 50, "the accept loop spins: {spent} ticks of 100 in a second");
    assert!(server.child.try_wait().expect("its state").is_none(), "the process lives");
    drop(crowd);
    server.is_healthy();
    // Who was there before still is.
    let body = r#"{"type":"t","channel":"c","data":"still here"}"#;
    let publish = format!(
        "POST /api/broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(server.ask(&publish, "connections").1.starts_with("HTTP/1.1 200 OK"));
    assert!(read_until(&mut ada, "still here").contains("still here"), "the stream goes on");
}

#[test]
fn connections_stop_before_descriptors_do() {
    let server = Starved::start(80);
    let streams: Vec<_> = (0..60).map(|_| server.ask(STREAM, "connectionId")).collect();
    let connected = streams.iter().filter(|(_, text)| text.contains("connectionId")).count();
    assert_eq!(connected, 40, "of 80 descriptors");
    server.is_healthy();
}
