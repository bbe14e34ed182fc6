//! A server process with a folder of its own, which is killed and started again on the same port.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::line::{Answer, Line};
use crate::support::program;

/// How long a start may take before the test gives up. A busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("durable-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A server, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) addr: SocketAddr,
    folder: Folder,
    store: PathBuf,
    child: Option<Child>,
    /// Variables of its environment, besides none.
    pub(crate) environment: Vec<(String, String)>,
}

impl Node {
    /// A server that is not started yet, with its store in a folder of its own and with further lines of configuration.
    pub(crate) fn new(config: &str) -> Self {
        let folder = Folder::new();
        let store = folder.0.join("data");
        Self::with_store(folder, store, config)
    }

    pub(crate) fn with_store(folder: Folder, store: PathBuf, config: &str) -> Self {
        let text = format!("{config}\n[store]\npath = {:?}\n", store.display().to_string());
        fs::write(folder.0.join("realtime.toml"), text).expect("a file");
        Self { addr: free_addr(), folder, store, child: None, environment: Vec::new() }
    }

    /// Where its store is.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Starts the process, and does not wait for it.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let config = self.folder.0.join("realtime.toml").display().to_string();
        let log = File::options().create(true).append(true).open(self.folder.0.join("log")).expect("a file");
        let mut command = program(&["serve", "--config", &config, "--listen", &self.addr.to_string()]);
        command.args(["--set", "log.level=warn", "--workers", "2"]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(std::process::Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("the program starts"));
    }

    /// Starts the process, waits until it is ready, and says how long that took.
    pub(crate) async fn start(&mut self) -> Duration {
        let began = Instant::now();
        self.spawn();
        while !self.is_ready().await {
            assert!(began.elapsed() < PATIENCE, "not ready after {PATIENCE:?}: {}", self.log());
            let ended = self.child.as_mut().expect("it runs").try_wait().expect("a child of ours");
            assert_eq!(ended, None, "it ended: {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut line) = Line::connect(self.addr).await else { return false };
        line.request("GET", "/health/ready", None).await.is_ok_and(|answer| answer.status == 200)
    }

    /// What it wrote so far, over all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Ends it without a word, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill").args([name, &self.pid().to_string()]).status();
        assert!(status.expect("kill exists").success());
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        let ended = self.child.take().expect("it runs").wait().expect("a child of ours");
        assert_eq!(ended.code(), Some(0), "{}", self.log());
    }

    /// One request on a connection of its own.
    pub(crate) async fn http(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut line = Line::connect(self.addr).await.expect("it listens");
        line.request(method, path, body).await.expect("it answers")
    }

    /// Publishes by HTTP; it must say yes. Returns its answer.
    pub(crate) async fn publish(&self, body: &Value) -> Value {
        let answer = self.http("POST", "/api/broadcast", Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The sum of a figure over all workers.
    pub(crate) async fn figure(&self, name: &str) -> u64 {
        let metrics = self.http("GET", "/metrics", None).await.text();
        let head = format!("realtime_{name}{{");
        let lines = metrics.lines().filter(|line| line.starts_with(&head));
        let values = lines.map(|line| line.rsplit(' ').next().and_then(|it| it.parse::<u64>().ok()).expect("a number"));
        let values: Vec<_> = values.collect();
        assert!(!values.is_empty(), "no {name} in {metrics}");
        values.iter().sum()
    }

    /// The store must be sound. Returns how many messages are in it.
    pub(crate) fn check_store(&self) -> u64 {
        let folder = self.store.display().to_string();
        let (exit, out, err) = crate::support::run(&["store", "check", &folder, "--json"]);
        assert_eq!((exit, err.as_str()), (0, ""), "{out}");
        let report: Value = serde_json::from_str(&out).expect("JSON");
        report["messages"].as_u64().expect("a count")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            eprintln!("the server wrote: {}", self.log());
        }
    }
}

/// An address nobody listens on, below the ports that the system gives to clients: a client that asks for a port on which nobody
/// listens may be given this very port, and then the server cannot have it again.
fn free_addr() -> SocketAddr {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    const FIRST: u64 = 20_000;
    const PORTS: u64 = 12_000;
    loop {
        let number = u64::from(std::process::id()) * 31 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + number % PORTS).expect("below 65,536");
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}
