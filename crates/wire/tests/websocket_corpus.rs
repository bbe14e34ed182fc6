//! Replays the corpus of the fuzz target `websocket_decoder`, so that what fuzzing once found stays fixed without a fuzzer.

use std::path::Path;

use realtime_connector_wire::websocket::fuzzing;

#[test]
fn the_corpus_breaks_no_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/websocket_decoder");
    let mut replayed = 0;
    for entry in folder.read_dir().expect("the corpus is committed") {
        let path = entry.expect("a readable folder").path();
        let data = std::fs::read(&path).expect("a readable file");
        // A failure is a panic; the name of the file is what one wants to know of it.
        let outcome = std::panic::catch_unwind(|| fuzzing::websocket_decoder(&data));
        assert!(outcome.is_ok(), "{}", path.display());
        replayed += 1;
    }
    assert!(replayed >= 20, "only {replayed} files");
}
