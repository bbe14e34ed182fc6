//! The case list of the Autobahn WebSocket test suite, sections 1–7, 9 and 10 (301 cases), against an echo server in
//! memory. Every case runs with its bytes arriving whole, in pieces of 997 bytes and one by one.
//!
//! Where the suite accepts several behaviours, the strict one is expected.

mod websocket_support;

use websocket_support::kuhn::{KOSME, kuhn};
use websocket_support::{BINARY, CLOSE, CONTINUATION, Echo, Frame, PING, PONG, TEXT, WIDE};

/// One case: what the client sends, and what has come back at each point.
struct Case {
    number: String,
    steps: Vec<Step>,
}

enum Step {
    /// Bytes for the server.
    Send(Vec<u8>),
    /// Exactly these frames have come since the last look. Of a close frame only the code counts.
    Expect(Vec<Frame>),
}

impl Case {
    fn new(number: impl Into<String>) -> Self {
        Self { number: number.into(), steps: Vec::new() }
    }

    fn send(self, frames: impl IntoIterator<Item = Frame>) -> Self {
        self.send_raw(frames.into_iter().flat_map(|frame| frame.masked()).collect())
    }

    fn send_raw(mut self, bytes: Vec<u8>) -> Self {
        self.steps.push(Step::Send(bytes));
        self
    }

    fn expect(mut self, frames: impl IntoIterator<Item = Frame>) -> Self {
        self.steps.push(Step::Expect(frames.into_iter().collect()));
        self
    }

    fn expect_failure(self, code: u16) -> Self {
        self.expect([Frame::close(code, "")])
    }

    fn run(&self, chop: usize) {
        let mut echo = Echo::new(WIDE);
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Send(bytes) => bytes.chunks(chop).for_each(|piece| echo.receive(piece)),
                Step::Expect(expected) => self.compare(&mut echo, expected, &format!("step {index}, chop {chop}")),
            }
        }
        if !echo.has_ended() {
            echo.receive(&Frame::close(1000, "").masked());
            self.compare(&mut echo, &[Frame::close(1000, "")], &format!("end, chop {chop}"));
        }
        echo.receive(&Frame::new(PING, "nobody listens").masked());
        self.compare(&mut echo, &[], &format!("after the end, chop {chop}"));
    }

    fn compare(&self, echo: &mut Echo, expected: &[Frame], at: &str) {
        let mut frames = echo.take_frames();
        for frame in frames.iter_mut().filter(|frame| frame.opcode == CLOSE) {
            frame.payload.truncate(2);
        }
        // No `assert_eq`: some payloads have 16 MiB.
        assert!(frames == expected, "case {}, {at}: {} but expected {}", self.number, brief(&frames), brief(expected));
    }
}

fn brief(frames: &[Frame]) -> String {
    let show = |frame: &Frame| {
        let start = &frame.payload[..frame.payload.len().min(24)];
        format!("(opcode {} fin {} {} bytes {:x?})", frame.opcode, frame.fin, frame.payload.len(), start)
    };
    frames.iter().map(show).collect::<Vec<_>>().join(" ")
}

/// Runs a section and checks that it has as many cases as the suite.
fn run(count: usize, cases: Vec<Case>) {
    assert_eq!(cases.len(), count, "cases in this section");
    for case in &cases {
        for chop in [usize::MAX, 997, 1] {
            case.run(chop);
        }
    }
}

/// A text message that comes back as it is.
fn echoed(number: impl Into<String>, opcode: u8, payload: impl AsRef<[u8]>) -> Case {
    let frame = Frame::new(opcode, payload);
    Case::new(number).send([frame.clone()]).expect([frame])
}

fn text(payload: impl AsRef<[u8]>) -> Frame {
    Frame::new(TEXT, payload)
}

fn ping(payload: impl AsRef<[u8]>) -> Frame {
    Frame::new(PING, payload)
}

fn pong(payload: impl AsRef<[u8]>) -> Frame {
    Frame::new(PONG, payload)
}

/// A message cut into fragments of these payloads.
fn fragments<P: AsRef<[u8]>>(opcode: u8, payloads: impl IntoIterator<Item = P>) -> Vec<Frame> {
    let mut frames: Vec<Frame> = payloads.into_iter().map(|payload| Frame::part(CONTINUATION, payload)).collect();
    frames.first_mut().expect("at least one fragment").opcode = opcode;
    frames.last_mut().expect("at least one fragment").fin = true;
    frames
}

#[test]
fn section_1_framing() {
    let mut cases = Vec::new();
    for (group, opcode, byte) in [(1, TEXT, b'*'), (2, BINARY, 0xfe)] {
        for (i, len) in [0, 125, 126, 127, 128, 65_535, 65_536, 65_536].into_iter().enumerate() {
            // The eighth case is the seventh in pieces of 997 bytes, which every case here is sent in too.
            cases.push(echoed(format!("1.{group}.{}", i + 1), opcode, vec![byte; len]));
        }
    }
    run(16, cases);
}

#[test]
fn section_2_pings_and_pongs() {
    let answered = |number: &str, payload: &[u8]| Case::new(number).send([ping(payload)]).expect([pong(payload)]);
    let ten: Vec<String> = (0..10).map(|i| format!("payload-{i}")).collect();
    let ten_answers = || ten.iter().map(pong);
    let octetwise = |case: Case| ten.iter().fold(case, |case, payload| case.send([ping(payload)]));
    run(
        11,
        vec![
            answered("2.1", b""),
            answered("2.2", b"Hello, world!"),
            answered("2.3", &[0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff]),
            answered("2.4", &[0xfe; 125]),
            Case::new("2.5").send([ping([0xfe; 126])]).expect_failure(1002),
            answered("2.6", &[0xfe; 125]),
            Case::new("2.7").send([pong("")]).expect([]),
            Case::new("2.8").send([pong("unsolicited pong payload")]).expect([]),
            Case::new("2.9")
                .send([pong("unsolicited pong payload"), ping("ping payload")])
                .expect([pong("ping payload")]),
            Case::new("2.10").send(ten.iter().map(ping)).expect(ten_answers()),
            octetwise(Case::new("2.11")).expect(ten_answers()),
        ],
    );
}

#[test]
fn section_3_reserved_bits() {
    let hello = || text("Hello, world!");
    let after_an_echo = |number: &str, rsv| {
        let bad = [hello(), hello().rsv(rsv), ping("")];
        Case::new(number).send(bad).expect([hello(), Frame::close(1002, "")])
    };
    let alone = |number: &str, frame: Frame| Case::new(number).send([frame]).expect_failure(1002);
    run(
        7,
        vec![
            alone("3.1", hello().rsv(1)),
            after_an_echo("3.2", 2),
            after_an_echo("3.3", 3),
            after_an_echo("3.4", 4),
            alone("3.5", Frame::new(BINARY, [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff]).rsv(5)),
            alone("3.6", ping("Hello, world!").rsv(6)),
            alone("3.7", Frame::close(1000, "").rsv(7)),
        ],
    );
}

#[test]
fn section_4_opcodes() {
    let mut cases = Vec::new();
    for (group, first) in [(1, 3), (2, 11)] {
        for i in 0..5 {
            let number = format!("4.{group}.{}", i + 1);
            let payload: &[u8] = if i == 1 { b"reserved opcode payload" } else { b"" };
            let bad = Frame::new(first + i, payload);
            cases.push(if i < 2 {
                Case::new(number).send([bad]).expect_failure(1002)
            } else {
                let hello = text("Hello, world!");
                Case::new(number).send([hello.clone(), bad, ping("")]).expect([hello, Frame::close(1002, "")])
            });
        }
    }
    run(10, cases);
}

#[test]
fn section_5_fragmentation() {
    let part = Frame::part;
    let lost = |fin| Frame { fin, ..Frame::new(CONTINUATION, "non-continuation payload") };
    let two = || fragments(TEXT, ["fragment1", "fragment2"]);
    let failed = |number: &str, frames: Vec<Frame>| Case::new(number).send(frames).expect_failure(1002);
    // In the suite these differ in how the bytes are cut: whole, frame by frame, byte by byte.
    let framewise =
        |number: &str, frames: Vec<Frame>| frames.into_iter().fold(Case::new(number), |case, frame| case.send([frame]));
    let around_a_ping = || vec![part(TEXT, "fragment1"), ping("ping payload"), Frame::new(CONTINUATION, "fragment2")];
    let both = || [pong("ping payload"), text("fragment1fragment2")];
    let after_a_message = |fin| {
        let mut frames = two();
        frames.extend([Frame { fin, ..Frame::new(CONTINUATION, "fragment3") }, text("fragment4")]);
        frames
    };
    let and_then_failed = || [text("fragment1fragment2"), Frame::close(1002, "")];
    let five_1 = || [part(TEXT, "fragment1"), part(CONTINUATION, "fragment2"), ping("pongme 1!")];
    let five_2 = || {
        let end = Frame::new(CONTINUATION, "fragment5");
        [part(CONTINUATION, "fragment3"), part(CONTINUATION, "fragment4"), ping("pongme 2!"), end]
    };
    let five = || [pong("pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5")];
    let restarted = |fin| vec![lost(fin), part(TEXT, "fragment1"), Frame::new(CONTINUATION, "fragment2")];
    run(
        20,
        vec![
            failed("5.1", vec![part(PING, "fragment1"), Frame::new(CONTINUATION, "fragment2")]),
            failed("5.2", vec![part(PONG, "fragment1"), Frame::new(CONTINUATION, "fragment2")]),
            Case::new("5.3").send(two()).expect([text("fragment1fragment2")]),
            framewise("5.4", two()).expect([text("fragment1fragment2")]),
            Case::new("5.5").send(two()).expect([text("fragment1fragment2")]),
            Case::new("5.6").send(around_a_ping()).expect(both()),
            framewise("5.7", around_a_ping()).expect(both()),
            Case::new("5.8").send(around_a_ping()).expect(both()),
            failed("5.9", vec![lost(true), text("Hello, world!")]),
            framewise("5.10", vec![lost(true), text("Hello, world!")]).expect_failure(1002),
            failed("5.11", vec![lost(true), text("Hello, world!")]),
            failed("5.12", vec![lost(false), text("Hello, world!")]),
            framewise("5.13", vec![lost(false), text("Hello, world!")]).expect_failure(1002),
            failed("5.14", vec![lost(false), text("Hello, world!")]),
            Case::new("5.15").send(after_a_message(false)).expect(and_then_failed()),
            failed("5.16", [restarted(false), restarted(false)].concat()),
            failed("5.17", [restarted(true), restarted(true)].concat()),
            failed("5.18", vec![part(TEXT, "fragment1"), text("fragment2")]),
            Case::new("5.19").send(five_1()).expect([pong("pongme 1!")]).send(five_2()).expect(five()),
            framewise("5.20", five_1().to_vec()).expect([pong("pongme 1!")]).send(five_2()).expect(five()),
        ],
    );
}

#[test]
fn section_6_1_to_6_4_text_in_fragments() {
    let hello = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
    let bytewise = |payload: &[u8]| fragments(TEXT, payload.chunks(1));
    let broken = [KOSME, b"\xed\xa0\x80edited"].concat();
    let too_high = [KOSME, b"\xf4\x90\x80\x80edited"].concat();
    let parts = |first: usize, second: usize| {
        [&too_high[..first], &too_high[first..second], &too_high[second..]].map(<[u8]>::to_vec)
    };
    // The failure must come with the second part, before the third is there.
    let fast_in_frames = |number: &str, [one, two, three]: [Vec<u8>; 3]| {
        Case::new(number)
            .send([Frame::part(TEXT, one)])
            .expect([])
            .send([Frame::part(CONTINUATION, two)])
            .expect_failure(1007)
            .send([Frame::new(CONTINUATION, three)])
            .expect([])
    };
    let fast_in_chops = |number: &str, [one, two, three]: [Vec<u8>; 3]| {
        let mut bytes = text(&too_high).masked();
        let end = bytes.split_off(bytes.len() - three.len());
        let middle = bytes.split_off(bytes.len() - two.len());
        assert_eq!(bytes.len(), 6 + one.len());
        Case::new(number).send_raw(bytes).expect([]).send_raw(middle).expect_failure(1007).send_raw(end).expect([])
    };
    run(
        13,
        vec![
            echoed("6.1.1", TEXT, ""),
            Case::new("6.1.2").send(fragments(TEXT, ["", "", ""])).expect([text("")]),
            Case::new("6.1.3")
                .send(fragments(TEXT, ["", "middle frame payload", ""]))
                .expect([text("middle frame payload")]),
            echoed("6.2.1", TEXT, hello),
            Case::new("6.2.2").send(fragments(TEXT, [&hello[..12], &hello[12..]])).expect([text(hello)]),
            Case::new("6.2.3").send(bytewise(hello)).expect([text(hello)]),
            Case::new("6.2.4").send(bytewise(KOSME)).expect([text(KOSME)]),
            Case::new("6.3.1").send([text(&broken)]).expect_failure(1007),
            Case::new("6.3.2").send(bytewise(&broken)).expect_failure(1007),
            fast_in_frames("6.4.1", parts(11, 15)),
            fast_in_frames("6.4.2", parts(12, 13)),
            fast_in_chops("6.4.3", parts(11, 15)),
            fast_in_chops("6.4.4", parts(12, 13)),
        ],
    );
}

/// Sections 6.5–6.23: texts in one frame, good ones and bad ones; the numbers within a section follow the list.
#[test]
fn section_6_5_to_6_23_kuhns_sequences() {
    let mut cases = Vec::new();
    for (section, texts) in kuhn() {
        for (i, (good, bytes)) in texts.into_iter().enumerate() {
            let number = format!("6.{section}.{}", i + 1);
            cases.push(if good {
                echoed(number, TEXT, bytes)
            } else {
                Case::new(number).send([text(bytes)]).expect_failure(1007)
            });
        }
    }
    run(132, cases);
}

#[test]
fn section_7_close_handling() {
    let close = |code| Frame::close(code, "");
    let normal = || close(1000);
    let big = text(b"BAsd7&jh23".repeat(26_215)); // 256 KiB and a little
    let body = |number: &str, body: &[u8], expected: Frame| {
        Case::new(number).send([Frame::new(CLOSE, body)]).expect([expected])
    };
    let with_reason =
        |number: &str, reason: &[u8], code| Case::new(number).send([Frame::close(1000, reason)]).expect([close(code)]);
    let interrupted = [Frame::part(TEXT, "fragment1"), normal(), Frame::new(CONTINUATION, "fragment2")];
    let mut cases = vec![
        Case::new("7.1.1").send([text("Hello World!"), normal()]).expect([text("Hello World!"), normal()]),
        Case::new("7.1.2").send([normal(), normal()]).expect([normal()]),
        Case::new("7.1.3").send([normal(), ping("")]).expect([normal()]),
        Case::new("7.1.4").send([normal(), text("Hello World!")]).expect([normal()]),
        Case::new("7.1.5").send(interrupted).expect([normal()]),
        Case::new("7.1.6").send([big.clone(), text("Hello World!"), normal(), ping("")]).expect([
            big,
            text("Hello World!"),
            normal(),
        ]),
        body("7.3.1", b"", Frame::new(CLOSE, "")),
        body("7.3.2", b"a", close(1002)),
        body("7.3.3", &[0x03, 0xe8], normal()),
        with_reason("7.3.4", b"Hello World!", 1000),
        with_reason("7.3.5", &[b'*'; 123], 1000),
        with_reason("7.3.6", &[b'*'; 124], 1002),
        with_reason("7.5.1", &[KOSME, b"\xed\xa0\x80edited"].concat(), 1007),
    ];
    let codes = |section: &str, codes: &[u16], answer: fn(u16) -> u16| -> Vec<Case> {
        let number = |i| format!("{section}.{}", i + 1);
        let case = |(i, code): (usize, &u16)| {
            Case::new(number(i)).send([Frame::close(*code, "")]).expect([Frame::close(answer(*code), "")])
        };
        codes.iter().enumerate().map(case).collect()
    };
    let allowed = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    cases.extend(codes("7.7", &allowed, |code| code));
    cases.extend(codes("7.9", &[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999], |_| 1002));
    cases.extend(codes("7.13", &[5000, 65_535], |_| 1002));
    run(37, cases);
    // Newer than the suite, or not in it.
    for case in codes("registered since", &[1012, 1013, 1014], |code| code) {
        case.run(1);
    }
    for case in codes("describes, is never sent", &[1015], |_| 1002) {
        case.run(1);
    }
}

/// Payload of `len` bytes that does not repeat in step with the mask or the cuts.
fn filler(opcode: u8, len: usize) -> Vec<u8> {
    let pattern: &[u8] = if opcode == TEXT { b"BAsd7&jh23\xc3\xa9" } else { b"\x00\xff\xfe\xfd\xfc\xfb\x00" };
    let mut payload: Vec<u8> = pattern.iter().copied().cycle().take(len).collect();
    if opcode == TEXT && payload.last() == Some(&0xc3) {
        payload.pop();
        payload.push(b'.');
    }
    payload
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

#[test]
fn section_9_1_to_9_4_limits() {
    let mut cases = Vec::new();
    for (group, opcode) in [(1, TEXT), (2, BINARY)] {
        for (i, len) in [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].into_iter().enumerate() {
            cases.push(echoed(format!("9.{group}.{}", i + 1), opcode, filler(opcode, len)));
        }
    }
    for (group, opcode) in [(3, TEXT), (4, BINARY)] {
        let payload = filler(opcode, 4 * MIB);
        for i in 0..9 {
            let fragment_len = 64 << (2 * i);
            let sent = fragments(opcode, payload.chunks(fragment_len));
            cases.push(Case::new(format!("9.{group}.{}", i + 1)).send(sent).expect([Frame::new(opcode, &payload)]));
        }
    }
    assert_eq!(cases.len(), 30);
    for case in &cases {
        // Byte by byte would only take long here; the smaller cases do it.
        case.run(usize::MAX);
        case.run(64 * KIB);
        case.run(997);
    }
}

#[test]
fn section_9_5_to_9_8_chops_and_round_trips() {
    for (group, opcode) in [(5, TEXT), (6, BINARY)] {
        for (i, chop) in [64, 128, 256, 512, 1024, 2048].into_iter().enumerate() {
            echoed(format!("9.{group}.{}", i + 1), opcode, filler(opcode, MIB)).run(chop);
        }
    }
    for (group, opcode) in [(7, TEXT), (8, BINARY)] {
        for (i, len) in [0, 16, 64, 256, 1024, 4096].into_iter().enumerate() {
            let frame = Frame::new(opcode, filler(opcode, len));
            let number = format!("9.{group}.{}", i + 1);
            let case = (0..1000).fold(Case::new(number), |case, _| case.send([frame.clone()]).expect([frame.clone()]));
            case.run(usize::MAX);
            case.run(997);
        }
    }
}

#[test]
fn section_10_automatic_fragmentation() {
    let payload = vec![b'*'; 65_536];
    let sent = fragments(TEXT, payload.chunks(1300));
    run(1, vec![Case::new("10.1.1").send(sent).expect([text(&payload)])]);
}
