//! The program as its users see it: arguments in; output, requests and exit codes out.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread::JoinHandle;

use support::{Running, outcome, program, run};

/// A server that answers one connection after the other with the given bytes; the requests it got.
struct Answers {
    url: String,
    thread: JoinHandle<Vec<String>>,
}

fn answer_with(answers: Vec<String>) -> Answers {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (stream, _) = listener.accept().expect("a connection");
            let request = read_request(&stream);
            (&stream).write_all(answer.as_bytes()).expect("the client reads");
            request
        };
        answers.into_iter().map(answer).collect()
    });
    Answers { url, thread }
}

impl Answers {
    fn requests(self) -> Vec<String> {
        self.thread.join().expect("the server ended well")
    }
}

fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        request.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    request + &String::from_utf8(body).expect("text")
}

fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// An event stream that ends with the connection.
fn stream(events: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}")
}

const CONNECTED: &str = "retry: 1\nid: c1\ndata: {\"op\":\"connected\",\"connectionId\":\"x\",\"heartbeatMs\":15000,\
                         \"userId\":\"ada\",\"subscriptions\":[{\"channel\":\"orders\"}]}\n\n";

#[test]
fn publish_sends_the_data_as_it_was_typed_and_says_what_happened() {
    let answer = r#"{"id":"m1","position":{"epoch":"k3f9","offset":7},"connections":2}"#;
    let server = answer_with(vec![json("200 OK", answer)]);
    let words =
        ["publish", "order.created", "{ \"n\": 12345678901234567890.10 }", "--channel", "orders", "--user", "ada"];
    let output = program(&words).env("REALTIME_URL", &server.url).env("REALTIME_API_KEY", "secret").output();
    assert_eq!(
        outcome(output.expect("it starts")),
        (
            0,
            "published to user ada in channel orders: id m1, position k3f9-7, 2 connections at that moment\n"
                .to_owned(),
            String::new()
        )
    );
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /api/broadcast HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer secret\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    let body = r#"{"type":"order.created","data":{ "n": 12345678901234567890.10 },"channel":"orders","userId":"ada"}"#;
    assert!(request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
}

#[test]
fn publish_for_programs_prints_the_answer_as_it_is() {
    let answer = r#"{"id":"m1","duplicate":true}"#;
    let server = answer_with(vec![json("200 OK", answer)]);
    assert_eq!(run(&["publish", "a", "1", "--json", "--url", &server.url]), (0, format!("{answer}\n"), String::new()));
    let server = answer_with(vec![json("200 OK", answer)]);
    let (_, out, _) = run(&["publish", "a", "1", "--url", &server.url]);
    assert_eq!(out, "was already published to everyone: id m1\n");
}

#[test]
fn a_refusal_keeps_its_code_and_says_what_to_do() {
    let problem = r#"{"code":"unauthenticated","message":"no API key","status":401}"#;
    let server = answer_with(vec![json("401 Unauthorized", problem); 2]);
    assert_eq!(
        run(&["publish", "a", "1", "--url", &server.url]),
        (
            1,
            String::new(),
            "error: unauthenticated: no API key (HTTP 401)\n  give one of the server's auth.apiKeys: --api-key, REALTIME_API_KEY \
             or REALTIME_API_KEY_FILE\n"
                .to_owned()
        )
    );
    let (exit, out, err) = run(&["publish", "a", "1", "--json", "--url", &server.url]);
    let error: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!((exit, out.as_str(), error["error"]["code"].as_str()), (1, "", Some("unauthenticated")));

    let problem = r#"{"code":"bad_request","message":"must not be empty","status":400,"field":"type"}"#;
    let server = answer_with(vec![json("400 Bad Request", problem)]);
    let (exit, _, err) = run(&["publish", "", "1", "--url", &server.url]);
    assert_eq!((exit, err.as_str()), (1, "error: bad_request: type must not be empty (HTTP 400)\n"));

    let server = answer_with(vec![json("502 Bad Gateway", "<html>")]);
    let (exit, _, err) = run(&["connections", "--url", &server.url]);
    let expected = format!(
        "error: {} answered 502 Bad Gateway\n  is this a Realtime Connector, and is the path right?\n",
        server.url
    );
    assert_eq!((exit, err), (1, expected));
}

#[test]
fn a_server_that_is_not_there_is_a_failure_and_wrong_usage_another() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let (exit, _, err) = run(&["connections", "--url", &url]);
    let expected = format!(
        "error: cannot reach {url}: Connection refused (os error 111)\n  start a server with `realtime-connector serve`, \
         or name another with --url or REALTIME_URL\n"
    );
    assert_eq!((exit, err), (1, expected));
    let (exit, _, err) = run(&["publish", "a", "hello"]);
    let expected = "error: the data is not JSON: expected value at line 1 column 1\n  a text needs quotes inside those of \
                    the shell: '\"hello\"'; an object is '{\"id\": 1}'\n";
    assert_eq!((exit, err.as_str()), (2, expected));
    let (exit, _, err) = run(&["tail", "--url", "https://example.com"]);
    let expected = "error: the url \"https://example.com\" needs TLS, which is not supported yet\n  use http:// on a \
                    network you trust, or through a tunnel such as ssh -L\n";
    assert_eq!((exit, err.as_str()), (2, expected));
    assert_eq!(run(&["tell"]).0, 2);
    assert_eq!(run(&["--help"]).0, 0);
}

#[test]
fn tail_shows_messages_and_continues_after_a_lost_connection() {
    let message = |offset: u32, id: &str| {
        format!(
            "data: {{\"op\":\"message\",\"channel\":\"orders\",\"offset\":{offset},\"id\":\"m\",\"time\":1517443384007,\
             \"type\":\"created\",\"userId\":\"bo\\u001b[2J\",\"data\":{{\"n\":1.50}}}}\nid: {id}\n\n"
        )
    };
    let gap = "data: {\"op\":\"gap\",\"channel\":\"orders\",\"from\":2,\"to\":3,\"reason\":\"slow\",\"lost\":true}\n\n";
    let ping = "data: {\"op\":\"ping\"}\n\n: comment\n\n";
    let first = format!("{CONNECTED}{ping}{}", message(1, "c2"));
    let second = format!("{CONNECTED}{gap}{}{}", message(4, "c3"), message(5, "c4"));
    let server = answer_with(vec![stream(&first), stream(&second)]);
    let (exit, out, err) = run(&["tail", "orders", "a b", "--user", "ada", "-n", "2", "--url", &server.url]);
    let line = |offset| format!("00:03:04.007  orders  #{offset}  created  bo\\u{{1b}}[2J  {{\"n\":1.50}}\n");
    assert_eq!((exit, out), (0, line(1) + &line(4)));
    let notes: Vec<_> = err.lines().collect();
    let connected = format!("-- connected to {} as ada: orders a b", server.url);
    assert_eq!(notes.len(), 4, "{err}");
    assert_eq!([notes[0], notes[2]], [connected.as_str(); 2]);
    assert!(notes[1].starts_with("-- the server closed the connection; connecting again in "), "{err}");
    assert_eq!(notes[3], "-- orders: messages are lost (#2 to #3): slow");
    let requests = server.requests();
    let path = "GET /sse?format=frames&channel=orders&channel=a%20b&userId=ada HTTP/1.1\r\n";
    assert!(requests.iter().all(|request| request.starts_with(path)), "{requests:?}");
    assert!(!requests[0].contains("last-event-id"), "{requests:?}");
    assert!(requests[1].contains("last-event-id: c2\r\n"), "{requests:?}");
}

#[test]
fn tail_for_programs_prints_frames_and_colours_are_for_people() {
    let message = "data: {\"op\":\"message\",\"channel\":\"a\",\"type\":\"t\",\"data\":1}\n\n";
    let server = answer_with(vec![stream(&format!("{CONNECTED}{message}"))]);
    let (_, out, err) = run(&["tail", "--json", "-n", "1", "--url", &server.url]);
    let ops: Vec<_> = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")).collect();
    assert_eq!((ops[0]["op"].as_str(), ops[1]["op"].as_str(), ops.len()), (Some("connected"), Some("message"), 2));
    assert_eq!(err, "");
    let server = answer_with(vec![stream(&format!("{CONNECTED}{message}"))]);
    let (_, out, _) = run(&["tail", "--color", "always", "-n", "1", "--url", &server.url]);
    assert!(out.contains("\x1b[1mt\x1b[0m"), "{out:?}");
}

#[test]
fn tail_ends_when_the_server_refuses_or_ends_the_session() {
    let stopped = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned();
    let server = answer_with(vec![stream(CONNECTED), stopped]);
    let (exit, _, err) = run(&["tail", "orders", "--url", &server.url]);
    assert!(exit == 1 && err.ends_with("error: the server ended this session for good\n"), "{err}");
    let problem = r#"{"code":"forbidden","message":"not from here","status":403}"#;
    let server = answer_with(vec![json("403 Forbidden", problem)]);
    let (exit, _, err) = run(&["tail", "--url", &server.url]);
    assert_eq!((exit, err.as_str()), (1, "error: forbidden: not from here (HTTP 403)\n"));
    let refused = "data: {\"op\":\"connected\",\"subscriptions\":[{\"channel\":\"a\",\"error\":{\"code\":\"forbidden\",\
                   \"message\":\"no\"}}]}\n\n";
    let server = answer_with(vec![stream(refused)]);
    let (exit, _, err) = run(&["tail", "a", "--url", &server.url]);
    let expected = "-- cannot subscribe to a: forbidden: no\nerror: none of the channels can be subscribed\n";
    assert_eq!((exit, err.as_str()), (1, expected));
}

#[test]
fn connections_are_a_table_over_all_pages() {
    let first = r#"{"items":[{"connectionId":"c1","userId":"ada","provider":"websocket","address":"127.0.0.1:5","channels":["a","b","c","d"]}],"next":"n1"}"#;
    let second = r#"{"items":[{"connectionId":"c22","userId":null,"provider":"sse","address":"[::1]:6","channels":[]}],"next":null}"#;
    let pages = || vec![json("200 OK", first), json("200 OK", second)];
    let server = answer_with(pages());
    let (exit, out, _) = run(&["connections", "--channel", "a", "--user", "x", "--url", &server.url]);
    let expected = "ID   USER  PROVIDER   ADDRESS      SINCE  CHANNELS\n\
                    c1   ada   websocket  127.0.0.1:5  -      a b c +1\n\
                    c22  -     sse        [::1]:6      -      -\n";
    assert_eq!((exit, out.as_str()), (0, expected));
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /api/connections?limit=1000&channel=a&userId=x HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[1].starts_with("GET /api/connections?limit=999&channel=a&userId=x&cursor=n1 "), "{requests:?}");
    let server = answer_with(pages());
    let (_, out, _) = run(&["connections", "--json", "--url", &server.url]);
    let list: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((list["items"][1]["connectionId"].as_str(), &list["next"]), (Some("c22"), &serde_json::Value::Null));
    let server = answer_with(vec![json("200 OK", r#"{"items":[],"next":null}"#)]);
    assert_eq!(run(&["connections", "--url", &server.url]).1, "No connections.\n");
}

#[cfg(unix)]
#[test]
fn serve_says_what_to_try_and_ends_well_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Running::start(&["--listen", "127.0.0.1:0"]);
        let listening = server.line_with("listening");
        let port = listening.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
        server.signal(signal);
        let mut out = String::new();
        server.0.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        assert!(out.contains(&format!("Open     http://127.0.0.1:{port}/\n")), "{out}");
        assert!(out.contains("Warning: no authentication."), "{out}");
        assert_eq!(server.0.wait().expect("it ends").code(), Some(0), "{signal}");
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_stops_at_once() {
    let words = ["--listen", "127.0.0.1:0", "--set", "auth.anonymous=true", "--set", "shutdown.notReady=10m"];
    let mut server = Running::start(&[&words[..], &["--set", "shutdown.deadline=1h"]].concat());
    server.line_with("listening");
    server.signal("-TERM");
    server.line_with("SIGTERM: stopping; a second signal stops at once");
    server.signal("-INT");
    server.line_with("SIGINT: stopping at once");
    assert_eq!(server.0.wait().expect("it ends").code(), Some(1));
}

#[cfg(unix)]
#[test]
fn a_server_that_is_switched_off_says_so() {
    let mut server = Running::start(&["serve", "--listen", "127.0.0.1:0", "--set", "enabled=false"]);
    let line = server.line_with("enabled");
    assert!(
        line.ends_with("`enabled` is false: this server is switched off and refuses everything but its health checks")
    );
    server.signal("-TERM");
    assert_eq!(server.0.wait().expect("it ends").code(), Some(0));
}

#[cfg(unix)]
#[test]
fn logs_for_collectors_are_json_and_nothing_else_is_printed() {
    let mut server = Running::start(&["--listen", "127.0.0.1:0", "--set", "log.format=json"]);
    let line: serde_json::Value = serde_json::from_str(&server.line_with("listening")).expect("JSON");
    assert_eq!((line["message"].as_str(), line["dev"].as_bool()), (Some("listening"), Some(true)));
    server.signal("-TERM");
    let mut out = String::new();
    server.0.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
    assert_eq!((out.as_str(), server.0.wait().expect("it ends").code()), ("", Some(0)));
}

#[test]
fn serve_refuses_a_wrong_configuration_with_2_and_a_taken_address_with_1() {
    let (exit, out, err) = run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!((exit, out.as_str()), (2, ""));
    let begin =
        "error: `listen` (flag --listen): 0.0.0.0:0 can be reached from other machines, but no authentication is";
    assert!(err.starts_with(begin), "{err}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (exit, _, err) = run(&["--listen", &address]);
    let expected = format!(
        "error: cannot listen on {address}: Address already in use (os error 98)\n  is another server running there? \
         --listen 127.0.0.1:0 takes any free port\n"
    );
    assert!(exit == 1 && err.ends_with(&expected), "{err}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child =
        program(&["config", "default"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), err.as_str()), (Some(0), ""));
}
