//! Which tokio runtime the library's tasks run on: the caller's if there is one, otherwise one of its own.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of our own runtime. It answers HTTP and runs handlers; messages are the workers' business, which have threads of
/// their own.
const THREADS: usize = 2;

/// Made once, when it is needed first, and kept until the process ends.
static OWN: OnceLock<Runtime> = OnceLock::new();

/// The current runtime, or ours where there is none.
pub(crate) fn handle() -> Handle {
    Handle::try_current().unwrap_or_else(|_| own().handle().clone())
}

fn own() -> &'static Runtime {
    OWN.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("realtime-connector").enable_all();
        builder.build().expect("a process that gets no thread any more cannot go on")
    })
}

/// Runs a future that needs timers and sockets on whatever executor polls it.
pub(crate) async fn within<F: Future>(handle: &Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _context = Handle::try_current().is_err().then(|| handle.enter());
        future.as_mut().poll(cx)
    })
    .await
}
