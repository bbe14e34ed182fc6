//! The program as a child process, for tests.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// The program in an empty directory and an empty environment.
pub(crate) fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_realtime-connector"));
    command.args(words).env_clear().current_dir(env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
    command
}

/// Its exit code, standard output and standard error.
pub(crate) fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

pub(crate) fn run(words: &[&str]) -> (i32, String, String) {
    outcome(program(words).output().expect("the program starts"))
}

/// A running program; killed if a test fails.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::spawn(program(words))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts"))
    }

    /// The first line of standard error that contains a text.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let reader = BufReader::new(self.0.stderr.as_mut().expect("piped"));
        let mut lines = reader.lines().map(|line| line.expect("text"));
        lines.find(|line| line.contains(text)).expect(text)
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.0.id().to_string()]).status();
        assert!(status.expect("kill exists").success());
    }
}
