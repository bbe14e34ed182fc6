//! The texts of the Autobahn sections 6.5–6.23: those of Markus Kuhn's "UTF-8 decoder capability and stress test", with
//! today's bound at U+10FFFF.

/// κόσμε, the Greek word of that test; its second letter in the three byte form U+1F79.
pub(crate) const KOSME: &[u8] = "κ\u{1f79}σμε".as_bytes();

/// Whether a text is good, and its bytes.
pub(crate) type Text = (bool, Vec<u8>);

/// The sections and their texts.
///
/// The noncharacters of section 22 are the last two code points of each of the 17 planes: no characters, but valid UTF-8.
pub(crate) fn kuhn() -> Vec<(u32, Vec<Text>)> {
    let good = |texts: &[&[u8]]| texts.iter().map(|text| (true, text.to_vec())).collect::<Vec<_>>();
    let bad = |texts: &[&[u8]]| texts.iter().map(|text| (false, text.to_vec())).collect::<Vec<_>>();
    let prefixes = (1..=KOSME.len()).map(|len| (matches!(len, 2 | 5 | 7 | 9 | 11), KOSME[..len].to_vec())).collect();
    let mut boundaries = good(&[b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf"]);
    boundaries.extend(bad(&[b"\xf4\x90\x80\x80"]));
    let mut continuations: Vec<Text> = [&[0x80][..], &[0xbf]].into_iter().map(|lone| (false, lone.to_vec())).collect();
    continuations.extend((2..=6).map(|len| (false, [0x80, 0xbf].into_iter().cycle().take(len).collect())));
    continuations.push((false, (0x80..0xbf).collect()));
    let lonely = [0xc0..0xdf, 0xe0..0xef, 0xf0..0xf7, 0xf8..0xfb, 0xfc..0xfd_u8]
        .map(|leads| (false, leads.flat_map(|lead| [lead, b' ']).collect()));
    let cut: [&[u8]; 10] = [
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfb\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf",
    ];
    let surrogates: [&[u8]; 7] = [
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbe\x80",
        b"\xed\xbf\xbf",
    ];
    let pairs = surrogates[..4]
        .iter()
        .flat_map(|high| [surrogates[4], surrogates[6]].map(|low| (false, [*high, low].concat())));
    let noncharacters = (0..=16_u32).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let specials = 0xfff9..=0xffff;
    let encoded = |point: u32| (true, char::from_u32(point).expect("a code point").to_string().into_bytes());
    vec![
        (
            5,
            good(&[
                b"hello$world",
                "hello¢world".as_bytes(),
                "hello€world".as_bytes(),
                "hello𤭢world".as_bytes(),
                KOSME,
            ]),
        ),
        (6, prefixes),
        (7, good(&[b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"])),
        (8, bad(&[b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"])),
        (9, good(&[b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"])),
        (10, bad(&[b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"])),
        (11, boundaries),
        (12, continuations),
        (13, lonely.to_vec()),
        (14, bad(&cut)),
        (15, vec![(false, cut.concat())]),
        (16, bad(&[b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"])),
        (
            17,
            bad(&[
                b"\xc0\xaf",
                b"\xe0\x80\xaf",
                b"\xf0\x80\x80\xaf",
                b"\xf8\x80\x80\x80\xaf",
                b"\xfc\x80\x80\x80\x80\xaf",
            ]),
        ),
        (
            18,
            bad(&[
                b"\xc1\xbf",
                b"\xe0\x9f\xbf",
                b"\xf0\x8f\xbf\xbf",
                b"\xf8\x87\xbf\xbf\xbf",
                b"\xfc\x83\xbf\xbf\xbf\xbf",
            ]),
        ),
        (
            19,
            bad(&[
                b"\xc0\x80",
                b"\xe0\x80\x80",
                b"\xf0\x80\x80\x80",
                b"\xf8\x80\x80\x80\x80",
                b"\xfc\x80\x80\x80\x80\x80",
            ]),
        ),
        (20, bad(&surrogates)),
        (21, pairs.collect()),
        (22, noncharacters.map(encoded).collect()),
        (23, specials.map(encoded).collect()),
    ]
}
