//! The language of the transcripts: what is read, what is refused, what matches; and that every transcript can be read.

#[path = "support/transcript.rs"]
mod transcript;

use serde_json::{Value, json};
use transcript::{Captures, Lane, Line, Opening, Outgoing, Step, Transcript};

const HEAD: &str = r#"{"about":"x","rules":["PUB-1"]}"#;

#[track_caller]
fn parse(lines: &str) -> Vec<Line> {
    Transcript::parse(&format!("{HEAD}\n{lines}")).expect(lines).lines
}

#[test]
fn every_kind_of_line_is_read() {
    let lines = parse(concat!(
        "{\"open\":\"ada\",\"query\":{\"channel\":[\"a\",\"b\"],\"userId\":\"ada\"}}\n",
        "{\"open\":\"bob\",\"connect\":{\"pings\":true}}\n",
        "{\"open\":\"eve\",\"query\":{},\"refused\":{\"code\":\"bad_request\"}}\n",
        "{\"from\":\"ada\",\"frame\":{\"op\":\"ping\"},\"times\":3}\n",
        "{\"from\":\"ada\",\"raw\":\"{\"}\n",
        "{\"to\":\"ada\",\"frame\":{\"op\":\"pong\"}}\n",
        "{\"http\":\"POST /api/broadcast\",\"body\":{},\"status\":400,\"answer\":{\"code\":\"bad_request\"}}\n",
        "{\"silent\":\"ada\"}\n",
        "{\"pass\":20}\n",
        "{\"close\":\"ada\"}\n",
        "{\"closed\":\"bob\",\"code\":4003}\n",
    ));
    let (ada, bob) = (|| "ada".to_owned(), || "bob".to_owned());
    let query = [("channel", "a"), ("channel", "b"), ("userId", "ada")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    let pings = json!({"pings": true}).as_object().expect("an object").clone();
    let http = Step::Http {
        method: "POST".to_owned(),
        path: "/api/broadcast".to_owned(),
        body: Some(json!({})),
        status: 400,
        answer: json!({"code": "bad_request"}),
        times: 1,
    };
    let refused = Some(json!({"code": "bad_request"}));
    let expected = [
        Step::Open { client: ada(), how: Opening::Query(query.to_vec()), refused: None },
        Step::Open { client: bob(), how: Opening::Connect(pings), refused: None },
        Step::Open { client: "eve".to_owned(), how: Opening::Query(Vec::new()), refused },
        Step::From { client: ada(), text: Outgoing::Frame(json!({"op": "ping"})), times: 3 },
        Step::From { client: ada(), text: Outgoing::Raw("{".to_owned()), times: 1 },
        Step::To { client: ada(), frame: json!({"op": "pong"}), times: 1 },
        http,
        Step::Silent { client: ada() },
        Step::Pass { ms: 20 },
        Step::Close { client: ada() },
        Step::Closed { client: bob(), code: 4003 },
    ];
    let steps: Vec<_> = lines.into_iter().enumerate().map(|(n, line)| (line.number - 2 - n, line.step)).collect();
    assert_eq!(steps, expected.map(|step| (0, step)));
}

#[test]
fn the_first_line_says_what_is_shown() {
    let text = "{\"about\":\"x\",\"rules\":[\"PUB-1\",\"PUB-2\"],\"only\":\"sse\"}\n{\"open\":\"a\",\"query\":{}}";
    let transcript = Transcript::parse(text).expect("a good file");
    assert_eq!(transcript.about, "x");
    assert_eq!(transcript.rules, ["PUB-1", "PUB-2"]);
    assert_eq!((transcript.only.as_deref(), transcript.store), (Some("sse"), false));
    let text = "{\"about\":\"x\",\"rules\":[\"PUB-1\"],\"store\":true}\n{\"open\":\"a\",\"query\":{}}";
    assert!(Transcript::parse(text).expect("a good file").store);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let check = |text: &str, complaint: &str| {
        let error = Transcript::parse(text).expect_err(text);
        assert!(error.contains(complaint), "{error:?} does not say {complaint:?}");
    };
    let open = format!("{HEAD}\n{{\"open\":\"ada\",\"query\":{{}}}}\n");
    check("", "line 1: the file is empty");
    check("{\"rules\":[\"PUB-1\"]}", "line 1: about");
    check("{\"about\":\"x\",\"rules\":[]}", "line 1: rules");
    check("{\"about\":\"x\",\"rules\":[\"A-1\"],\"only\":\"smoke\"}", "only must be");
    check("{\"about\":\"x\",\"rules\":[\"A-1\"],\"store\":\"yes\"}", "store must be true");
    check(HEAD, "nothing happens");
    check(&format!("{open}nonsense"), "line 3: no JSON object");
    check(&format!("{open}{{\"says\":\"ada\"}}"), "line 3: no kind of line");
    check(&format!("{open}{{\"silent\":\"ada\",\"for\":3}}"), "unknown field \"for\"");
    check(&format!("{open}{{\"silent\":\"bob\"}}"), "bob is not open");
    check(&format!("{open}{{\"open\":\"ada\",\"query\":{{}}}}"), "ada is open already");
    check(&format!("{open}{{\"close\":\"ada\"}}\n{{\"silent\":\"ada\"}}"), "line 4: ada is not open");
    check(&format!("{open}{{\"from\":\"ada\"}}"), "from needs");
    check(&format!("{open}{{\"from\":\"ada\",\"frame\":{{\"ref\":1}},\"times\":2}}"), "must not have a ref");
    check(&format!("{open}{{\"to\":\"ada\",\"frame\":3}}"), "frame must be an object");
    check(&format!("{open}{{\"to\":\"ada\",\"frame\":{{}},\"times\":0}}"), "times");
    check(&format!("{open}{{\"http\":\"/api/info\"}}"), "METHOD");
    check(&format!("{open}{{\"pass\":0}}"), "above 0");
    check(&format!("{open}{{\"pass\":60000}}"), "at most 1000");
    check(&format!("{open}{{\"closed\":\"ada\",\"code\":70000}}"), "code");
    check(&format!("{open}{{\"open\":\"bob\",\"query\":{{\"since\":3}}}}"), "values are strings");
}

#[test]
fn frames_match_by_the_given_fields() {
    let check = |expected: Value, actual: Value, complaint: &str| {
        let result = Captures::default().matches(&expected, &actual);
        match complaint {
            "" => assert_eq!(result, Ok(()), "{expected} {actual}"),
            text => assert!(result.clone().is_err_and(|error| error.contains(text)), "{expected} {actual} {result:?}"),
        }
    };
    check(json!({"op": "ok"}), json!({"op": "ok", "id": "x"}), "");
    check(json!({"op": "ok"}), json!({"op": "error"}), "frame.op is \"error\", expected \"ok\"");
    check(json!({"id": "<string>"}), json!({}), "frame.id is missing");
    check(json!({"id": "<string>"}), json!({"id": 3}), "expected <string>");
    check(json!({"id": "<int>"}), json!({"id": 3}), "");
    check(json!({"id": "<int>"}), json!({"id": 3.5}), "expected <int>");
    check(json!({"id": "<any>"}), json!({"id": null}), "");
    check(json!({"id": "<any>"}), json!({}), "frame.id is missing");
    check(json!({"id": "<absent>"}), json!({}), "");
    check(json!({"id": "<absent>"}), json!({"id": null}), "must not be there");
    check(json!({"id": "<number>"}), json!({"id": 3}), "is no matcher");
    check(json!({"a": {"b": [1, {"c": 2}]}}), json!({"a": {"b": [1, {"c": 2, "d": 3}]}}), "");
    check(json!({"a": {"b": [1, {"c": 2}]}}), json!({"a": {"b": [1, {"c": 3}]}}), "frame.a.b[1].c is 3");
    check(json!({"a": [1]}), json!({"a": [1, 2]}), "frame.a has 2 items, expected 1");
    check(json!({"a": {}}), json!({"a": "text"}), "expected an object");
    check(json!({"channel": "$user"}), json!({"channel": "$all"}), "expected \"$user\"");
}

#[test]
fn captures_hold_from_their_first_use() {
    let mut captures = Captures::default();
    let expected = json!({"id": "$ada.id", "again": "$ada.id"});
    assert!(captures.matches(&expected, &json!({"id": 1, "again": 2})).is_err());
    assert_eq!(captures.matches(&expected, &json!({"id": 2, "again": 2})), Ok(()), "a failed match captures nothing");
    assert!(captures.matches(&json!({"id": "$ada.id"}), &json!({"id": 3})).is_err());

    let frame = json!({"since": {"offset": "$ada.id"}, "to": ["$ada.id", "$all"]});
    assert_eq!(captures.fill(&frame), Ok(json!({"since": {"offset": 2}, "to": [2, "$all"]})));
    assert!(captures.fill(&json!("$bob.id")).is_err());

    assert_eq!(captures.matches(&json!("$ada.connection"), &json!("c1-2")), Ok(()));
    assert_eq!(captures.fill_text("/api/connections/$ada.connection?n=$ada.id&c=$all"), {
        Ok("/api/connections/c1-2?n=2&c=$all".to_owned())
    });
    assert!(captures.fill_text("/api/connections/$bob.id").is_err());
}

#[test]
fn lanes_are_the_same_on_both_providers() {
    let table = [
        (json!({"op": "connected", "ref": 1}), Lane::Stream),
        (json!({"op": "error"}), Lane::Answers),
        (json!({"op": "ok", "ref": 1}), Lane::Answers),
        (json!({"op": "subscribed", "ref": 1}), Lane::Answers),
        (json!({"op": "subscribed"}), Lane::Stream),
        (json!({"op": "subscribed", "ref": "<absent>"}), Lane::Stream),
        (json!({"op": "message", "channel": "a"}), Lane::Stream),
    ];
    for (frame, lane) in table {
        assert_eq!(Lane::of(&frame), lane, "{frame}");
    }
}

#[test]
fn every_transcript_can_be_read() {
    // Asked at run time: a compiled-in path would be that of another checkout.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let mut folders = vec![std::path::PathBuf::from(package).join("../../protocol/transcripts")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder of transcripts is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jsonl") {
                let text = std::fs::read_to_string(&path).expect("a readable file");
                let transcript = Transcript::parse(&text);
                assert!(transcript.is_ok(), "{}: {}", path.display(), transcript.err().unwrap_or_default());
                read += 1;
            }
        }
    }
    assert!(read >= 25, "only {read} transcripts were found");
}
