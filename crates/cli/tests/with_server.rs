//! The client commands against the program's own server, and what Ctrl-C makes of them.

#[expect(dead_code, reason = "this test uses a part of it")]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;
use support::{Running, outcome, program};

/// An API key that is strong enough, and one that is not the same.
const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

/// A server on a free port, and where it is. It is stopped at once in the end, whatever it waits for.
fn serve(flags: &[&str]) -> (Running, String) {
    let words = [&["serve", "--listen", "127.0.0.1:0", "--set", "log.level=debug"], flags].concat();
    let mut server = Running::start(&words);
    let line = server.line_with("listening");
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    (server, url)
}

/// A client command for that server.
fn client(url: &str, words: &[&str]) -> Command {
    let mut command = program(words);
    command.env("REALTIME_URL", url);
    command
}

/// An event stream, open until it is dropped, and its `connected` frame.
fn stream(url: &str, query: &str) -> (TcpStream, Value) {
    let address = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).expect("it listens");
    write!(socket, "GET /sse?format=frames&{query} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let lines = BufReader::new(socket.try_clone().expect("a handle")).lines();
    let data = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    (socket, serde_json::from_str(&data.expect("a frame")).expect("JSON"))
}

/// The column of ids was always `-`: it read a field that the server does not send.
#[test]
fn connections_shows_what_the_server_says() {
    let (_server, url) = serve(&[]);
    let (_ada, connected) = stream(&url, "userId=ada&channel=orders");
    let id = connected["connectionId"].as_str().expect("an id");
    let (exit, out, err) = outcome(client(&url, &["connections"]).output().expect("it starts"));
    assert_eq!((exit, err.as_str()), (0, ""));
    let row: Vec<_> = out.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!((row[0], row[1], row[2], row.last()), (id, "ada", "sse", Some(&"orders")), "{out}");
}

/// The key was sent, and refused as a token that is none, so that `tail` worked only without it.
#[test]
fn tail_and_publish_work_with_the_key_whoever_else_may_connect() {
    for anonymous in ["true", "false"] {
        let (_server, url) = serve(&["--api-key", KEY, "--set", &format!("auth.anonymous={anonymous}")]);
        let mut command = client(&url, &["tail", "orders", "-n", "1"]);
        command.env("REALTIME_API_KEY", KEY);
        let mut tail = Running::spawn(command);
        assert_eq!(tail.line_with("--"), format!("-- connected to {url} as nobody: orders"));
        let publish = ["publish", "created", "{\"n\":1}", "--channel", "orders"];
        let published = client(&url, &publish).env("REALTIME_API_KEY", KEY).output().expect("it starts");
        assert_eq!(published.status.code(), Some(0), "{published:?}");
        let mut out = String::new();
        tail.0.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        assert!(out.ends_with("created  {\"n\":1}\n"), "{out}");
        assert_eq!(tail.0.wait().expect("it ends").code(), Some(0));

        let refused = client(&url, &["tail", "-n", "1"]).env("REALTIME_API_KEY", OTHER_KEY).output();
        let (exit, _, err) = outcome(refused.expect("it starts"));
        let expected = "error: unauthenticated: the token is none of the API keys (HTTP 401)\n  the key is none of the server's \
                        auth.apiKeys: look at --api-key, REALTIME_API_KEY and REALTIME_API_KEY_FILE, in this order\n";
        assert_eq!((exit, err.as_str()), (1, expected));
    }
}

#[test]
fn a_log_at_debug_names_connections() {
    let (mut server, url) = serve(&[]);
    let (ada, connected) = stream(&url, "userId=ada");
    let id = connected["connectionId"].as_str().expect("an id");
    let line = server.line_with(" connected");
    assert!(line.contains(&format!("connection=\"{id}\" user=\"ada\" provider=\"sse\"")), "{line}");
    drop(ada);
    let line = server.line_with("disconnected");
    assert!(line.contains(id) && line.contains("reason=\"lost\""), "{line}");
}

/// A path of the server's own page passed the check, and then two routes for it ended the process with a panic.
#[test]
fn a_path_that_the_server_needs_is_refused() {
    let flags = ["serve", "--dev", "--set", "providers.sse.path=/playground"];
    let (exit, _, err) = outcome(program(&flags).output().expect("it starts"));
    assert!(exit == 2 && err.contains("/playground belongs to the server itself"), "{err}");
}

/// `publish … && next` went on after Ctrl-C.
#[cfg(unix)]
#[test]
fn an_interrupted_command_is_not_done() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    for words in [&["publish", "a", "1"][..], &["connections"]] {
        let mut command = Running::spawn(client(&url, words));
        let (mut socket, _) = silent.accept().expect("it connects");
        socket.read_exact(&mut [0; 4]).expect("it asks");
        command.signal("-INT");
        let mut err = String::new();
        command.0.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
        assert_eq!(command.0.wait().expect("it ends").code(), Some(130), "{words:?}");
        assert!(err.starts_with("error: interrupted before"), "{err}");
    }
}

#[cfg(unix)]
#[test]
fn a_tail_that_was_interrupted_has_shown_enough() {
    let (_server, url) = serve(&[]);
    let mut tail = Running::spawn(client(&url, &["tail"]));
    tail.line_with("-- connected");
    tail.signal("-INT");
    assert_eq!(tail.0.wait().expect("it ends").code(), Some(0));
}

/// Ctrl-C was swallowed until the input ended.
#[cfg(unix)]
#[test]
fn a_publish_that_waits_for_its_input_can_be_interrupted() {
    use std::os::unix::process::ExitStatusExt;
    let mut command = client("http://127.0.0.1:9", &["publish", "a", "-"]);
    command.stdin(std::process::Stdio::piped());
    let mut publish = Running::spawn(command);
    let _input = publish.0.stdin.take();
    publish.signal("-INT");
    assert_eq!(publish.0.wait().expect("it ends").signal(), Some(2), "as SIGINT ends a process");
}
