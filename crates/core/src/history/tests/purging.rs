//! Scripts about what the application removes.

use crate::worker::testing::check;

#[test]
fn what_was_removed_is_skipped_and_no_loss() {
    for kept in ["", "kept=news"] {
        check(&format!(
            "
            node page=2 {kept}
            bo opens connect
            bo < connected
            bo > publish news a & bo > publish news b & bo > publish news c
            api > purge news@2
            api < purged up to 2
            ada opens connect news@1
            ada < connected [news 2..3 recovered]
            ada < news gap 2-2 purged
            ada < news 3 c
            ada > history #1 news
            ada < ok #1 [3 c] at 3
            api > purge news
            api < purged up to 3
            bo > publish news d
            ada < news 4 d
            eve opens connect news@0
            eve < connected [news 3..4 recovered]
            eve < news gap 1-3 purged
            eve < news 4 d
            api > purge empty
            api < purged up to 0
            "
        ));
    }
}
