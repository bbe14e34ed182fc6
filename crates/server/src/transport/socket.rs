//! A socket of our own listener, until a worker takes it over or HTTP is done with it.
//!
//! Most clients have sent their request by the time their socket is accepted, and most of these sockets leave for a worker at once.
//! So a socket joins the runtime's poll only when it has to wait: joining and leaving cost as much as the request.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How long unacknowledged bytes may stay so before the kernel gives the peer up. On SSE nothing else notices a dead peer.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of one of the first reads: most requests are shorter.
const FIRST_BYTES: usize = 4 * 1024;

/// Sets what every socket of a connection has, or every socket that a listener will accept.
pub(super) fn prepare<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    // Small frames must not wait for an acknowledgement (Nagle).
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Where sockets come from.
#[derive(Debug)]
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        // Its sockets have it from the beginning.
        prepare(&listener)?;
        Ok(Self(listener))
    }

    /// The next socket. What waits is taken past tokio, whose own sockets are in the runtime's poll already.
    pub(super) async fn accept(&self) -> io::Result<(EdgeSocket, SocketAddr)> {
        // A flood of clients must let those go on who are here.
        tokio::task::consume_budget().await;
        if let Ok((socket, address)) = SockRef::from(&self.0).accept()
            && let Some(address) = address.as_socket()
        {
            let socket = std::net::TcpStream::from(socket);
            socket.set_nonblocking(true)?;
            return Ok((EdgeSocket::new(Some(socket), None), address));
        }
        // Nothing waits, or there is an error, which comes again.
        let (socket, address) = self.0.accept().await?;
        Ok((EdgeSocket::new(None, Some(socket)), address))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct EdgeSocket {
    /// Bytes for whoever reads next.
    read: Bytes,
    /// It has had to wait for nothing yet.
    free: Option<std::net::TcpStream>,
    /// It is in the runtime's poll.
    polled: Option<TcpStream>,
    /// Somebody found nothing to read and was told to look again.
    looked: bool,
}

impl EdgeSocket {
    fn new(free: Option<std::net::TcpStream>, polled: Option<TcpStream>) -> Self {
        Self { read: Bytes::new(), free, polled, looked: false }
    }

    /// Reads until it is clear whether a client begins with this, and keeps what it has read.
    pub(super) async fn begins_with(&mut self, preface: &[u8]) -> io::Result<bool> {
        let mut seen = Vec::new();
        loop {
            match self.try_read(&mut seen) {
                Ok(count) if count > 0 && preface.starts_with(&seen) && preface.len() > seen.len() => {}
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.polled()?.readable().await?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.read = seen.into();
        Ok(self.read.starts_with(preface))
    }

    fn try_read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        let mut buffer = [0; FIRST_BYTES];
        let count = match (&self.free, &self.polled) {
            (Some(socket), _) => { socket }.read(&mut buffer)?,
            (None, Some(socket)) => socket.try_read(&mut buffer)?,
            (None, None) => return Err(ErrorKind::NotConnected.into()),
        };
        into.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// The socket in the runtime's poll, which it joins now if it has not.
    fn polled(&mut self) -> io::Result<&mut TcpStream> {
        if let Some(socket) = self.free.take() {
            self.polled = Some(TcpStream::from_std(socket)?);
        }
        self.polled.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// The socket, in nobody's poll, and what was read from it and not taken.
    pub(super) fn into_std(self) -> io::Result<(std::net::TcpStream, Bytes)> {
        let socket = match (self.free, self.polled) {
            (Some(socket), _) => socket,
            (None, Some(socket)) => socket.into_std()?,
            (None, None) => return Err(ErrorKind::NotConnected.into()),
        };
        Ok((socket, self.read))
    }
}

impl AsyncRead for EdgeSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.read.is_empty() {
            let count = self.read.len().min(into.remaining());
            into.put_slice(&self.read.split_to(count));
            return Poll::Ready(Ok(()));
        }
        // With a request in hand hyper looks whether the peer is still there before it asks the handler, who may want the socket:
        // only a second look has to wait.
        if self.free.is_some() && !std::mem::replace(&mut self.looked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(self.polled()?).poll_read(cx, into)
    }
}

impl AsyncWrite for EdgeSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.polled()?).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.polled()?).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// TCP keeps nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.free {
            Some(socket) => Poll::Ready(socket.shutdown(Shutdown::Write)),
            None => Pin::new(self.polled()?).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A client and the socket that was accepted for it, once with a client that was waiting and once with one that was awaited.
    async fn pairs() -> [(TcpStream, EdgeSocket); 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let listener = Listener::new(listener).expect("a listener");
        let awaited = tokio::join!(listener.accept(), TcpStream::connect(address));
        let client = TcpStream::connect(address).await.expect("a client");
        let (waiting, _) = listener.accept().await.expect("a socket");
        assert!(waiting.free.is_some());
        let (socket, _) = awaited.0.expect("a socket");
        assert!(socket.polled.is_some());
        [(client, waiting), (awaited.1.expect("a client"), socket)]
    }

    #[tokio::test]
    async fn a_socket_has_what_was_set_on_its_listener() {
        for (_client, socket) in pairs().await {
            let (socket, _) = socket.into_std().expect("a socket");
            let socket = SockRef::from(&socket);
            assert!(socket.tcp_nodelay().expect("an option"));
            assert_eq!(socket.tcp_user_timeout().expect("an option"), Some(USER_TIMEOUT));
            assert!(socket.nonblocking().expect("a flag"));
        }
    }

    #[tokio::test]
    async fn a_beginning_in_pieces_is_recognised_and_kept() {
        for (pieces, expected) in [
            (&["PRI", " * ", "HTTP"][..], true),
            (&["PRI * HTTP, and more"], true),
            (&["PRI", " / "], false),
            (&["GET"], false),
            (&["PR"], false),
        ] {
            for (mut client, mut socket) in pairs().await {
                let said = tokio::spawn(async move {
                    for piece in pieces {
                        client.write_all(piece.as_bytes()).await.expect("written");
                        tokio::task::yield_now().await;
                    }
                });
                assert_eq!(socket.begins_with(b"PRI * HTTP").await.expect("read"), expected, "{pieces:?}");
                said.await.expect("said");
                let mut all = String::new();
                socket.read_to_string(&mut all).await.expect("read");
                assert_eq!(all, pieces.concat());
            }
        }
    }

    #[tokio::test]
    async fn whoever_finds_nothing_waits_for_it_and_is_answered() {
        for (mut client, mut socket) in pairs().await {
            let mut heard = [0; 5];
            let (read, ()) = tokio::join!(socket.read_exact(&mut heard), async {
                tokio::task::yield_now().await;
                client.write_all(b"hello").await.expect("written");
            });
            assert_eq!((read.expect("read"), &heard), (5, b"hello"));
            socket.write_all(b"bye").await.expect("written");
            socket.shutdown().await.expect("ended");
            let mut said = String::new();
            client.read_to_string(&mut said).await.expect("read");
            assert_eq!(said, "bye");
        }
    }
}
