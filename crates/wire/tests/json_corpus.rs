//! Replays the corpora of the fuzz targets of JSON, SSE and cursors, so that what fuzzing once found stays fixed without a fuzzer.

use std::path::Path;

use realtime_connector_wire::fuzzing;

type Target = fn(&[u8]);

#[test]
fn the_corpora_break_no_rule() {
    let targets: [(&str, Target); 6] = [
        ("json_decoder", fuzzing::json_decoder),
        ("json_body", fuzzing::json_body),
        ("json_broadcast", fuzzing::json_broadcast),
        ("sse_cursor", fuzzing::sse_cursor),
        ("sse_block", fuzzing::sse_block),
        ("url_names", fuzzing::url_names),
    ];
    for (name, target) in targets {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
        let mut replayed = 0;
        for entry in folder.read_dir().expect("the corpus is committed") {
            let path = entry.expect("a readable folder").path();
            let data = std::fs::read(&path).expect("a readable file");
            // A failure is a panic; the name of the file is what one wants to know of it.
            let outcome = std::panic::catch_unwind(|| target(&data));
            assert!(outcome.is_ok(), "{}", path.display());
            replayed += 1;
        }
        assert!(replayed >= 10, "only {replayed} files of {name}");
    }
}
