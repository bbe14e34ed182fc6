//! `serve`: the process around the server.
//!
//! - Configuration, logs, open files, then listen, then say where. What is wrong before that ends with a code.
//! - The first SIGTERM or SIGINT stops it in order, and the exit code is 0; the second one stops it at once.

mod banner;
mod logging;

use std::io::{self, Write};
use std::net::SocketAddr;

use realtime_connector::config::{Config, LogFormat};
use realtime_connector::{Error, create_realtime_connector};
use tracing::{info, warn};

use crate::args::SettingArgs;
use crate::failure::Failure;
use crate::settings::{Loaded, Surroundings, load};

/// Open files besides connections: listeners, wakers, logs, stores, requests of the HTTP API.
const OTHER_FILES: u64 = 256;

/// Runs the server until it is told to stop.
pub(crate) fn run(args: &SettingArgs, surroundings: &Surroundings) -> Result<(), Failure> {
    let Loaded { config, warnings, file, .. } = load(args, surroundings)?;
    logging::init(&config.log);
    for warning in warnings {
        warn!("{warning}");
    }
    info!(file = file.as_deref().unwrap_or("none"), "configuration read");
    raise_open_files(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(front_threads()).enable_all().build()?;
    let result = runtime.block_on(serve(config));
    // Whatever still runs was given its time; a second signal gives it none.
    runtime.shutdown_background();
    result
}

/// Threads for HTTP and handshakes: one for two cores. Workers have one for each core already, and a thread of the runtime that has
/// several tasks wakes another one to take some, which costs more than most of these tasks.
fn front_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2)
}

async fn serve(config: Config) -> Result<(), Failure> {
    // Before anything is said, so that whoever reads the address may stop the server.
    let mut signals = Signals::new()?;
    let connector = create_realtime_connector(config.clone()).await.map_err(|error| cannot_start(&error))?;
    let serving = connector.serve().await.map_err(|error| cannot_start(&error))?;
    announce(&config, serving.local_addr());
    tokio::select! {
        () = serving.wait() => return Err(Failure::failed("ended", "the server ended by itself; its log says why")),
        signal = signals.next() => info!("{signal}: stopping; a second signal stops at once"),
    }
    tokio::select! {
        () = connector.shutdown() => info!("stopped"),
        signal = signals.next() => {
            warn!("{signal}: stopping at once");
            return Err(Failure::failed("interrupted", "stopped before everything was done, by a second signal"));
        }
    }
    Ok(())
}

fn announce(config: &Config, address: SocketAddr) {
    info!(%address, version = env!("CARGO_PKG_VERSION"), dev = config.dev_mode(), "listening");
    if !config.enabled {
        warn!("`enabled` is false: this server is switched off and refuses everything but its health checks");
    } else if config.dev_mode() && config.log.format == LogFormat::Text {
        // A person looks at this one. Without a standard output it is no reason not to serve.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(banner::text(config, address).as_bytes()).and_then(|()| out.flush());
    }
}

fn cannot_start(error: &Error) -> Failure {
    match error {
        Error::Config(error) => Failure::usage("config", error.to_string()),
        Error::Bind { address, source } => cannot_listen(*address, source),
        Error::Workers(_) | Error::Rejected(_) | _ => Failure::failed("start", error.to_string()),
    }
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let failure = Failure::failed("listen", format!("cannot listen on {address}: {error}"));
    // An `if` per kind: the list of kinds is long, and not ours.
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        return failure
            .hint(format!("is another server running there? --listen {}:0 takes any free port", address.ip()));
    }
    if kind == io::ErrorKind::PermissionDenied {
        return failure.hint("ports below 1024 need a privilege: choose a higher one with --listen");
    }
    if kind == io::ErrorKind::AddrNotAvailable {
        return failure.hint("this machine has no such address: 0.0.0.0 listens on all that it has");
    }
    failure
}

/// Raises the limit of open files to what the system allows, and says if that is less than configured.
fn raise_open_files(config: &Config) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => {
            info!(files, "open files");
            let wanted = u64::from(config.limits.connections) + OTHER_FILES;
            if config.limits.connections > 0 && files < wanted {
                warn!(
                    "`limits.connections` is {}, but only {files} files may be open; raise the limit to {wanted} \
                     (ulimit -n, LimitNOFILE=)",
                    config.limits.connections
                );
            }
        }
        Err(error) => warn!("cannot raise the limit of open files: {error}"),
    }
}

/// The signals that stop the server.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            // Nothing can be heard: serve until the process is ended from outside.
            Err(_) => std::future::pending().await,
        }
    }
}
