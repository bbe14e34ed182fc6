//! The generated codes: what is written on the wire is what is read from it.

use realtime_connector_wire::codes::{CloseCode, Code, Verdict};

#[test]
fn every_word_and_number_reads_back() {
    for code in Code::ALL {
        assert_eq!(code.as_str().parse(), Ok(code));
    }
    for close in CloseCode::ALL {
        assert_eq!(CloseCode::from_number(close.number()), Some(close));
        assert!(close.reason().len() <= 123, "{close} does not fit a Close frame");
    }
    assert!("no_such_code".parse::<Code>().is_err());
    assert_eq!(CloseCode::from_number(4999), None);
}

#[test]
fn a_number_never_seen_has_the_verdict_of_its_hundred() {
    let table = [
        (1000, Verdict::Stop),
        (1006, Verdict::BackOff),
        (1015, Verdict::BackOff),
        (3000, Verdict::BackOff),
        (4003, Verdict::Stop),
        (4099, Verdict::Stop),
        (4199, Verdict::BackOff),
        (4203, Verdict::TokenFirst),
        (4299, Verdict::ResumeNow),
        (4300, Verdict::BackOff),
    ];
    for (number, verdict) in table {
        assert_eq!(Verdict::of_number(number), verdict, "{number}");
    }
}
