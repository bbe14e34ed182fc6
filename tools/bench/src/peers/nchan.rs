//! Nchan, the pub/sub module of nginx, from the distribution's packages.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Frame, Meaning, Peer, Place, PublishBy, Setup, Transport, post, stream, upgrade};
use crate::child::{self, Running, TempDir};
use crate::failure::{Failure, Result, Trying};

const MODULE: &str = "ngx_nchan_module.so";
/// Where distributions keep nginx modules.
const MODULE_DIRS: [&str; 3] = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules"];

/// See the module.
#[derive(Debug)]
pub(super) struct Nchan;

impl Peer for Nchan {
    fn name(&self) -> &'static str {
        "Nchan"
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::Ws, Transport::Sse]
    }

    fn start(&self, setup: &Setup) -> Result<Running> {
        let module = MODULE_DIRS.iter().map(|dir| Path::new(dir).join(MODULE)).find(|path| path.exists());
        let module = module.ok_or_else(|| Failure::Skip(format!("{MODULE} not found (libnginx-mod-nchan)")))?;
        let mut ask = Command::new("nginx");
        ask.arg("-v");
        let nginx = child::output(ask, Duration::from_secs(5), &setup.guard)?;
        let nginx = nginx.trim().rsplit(": ").next().unwrap_or_default().to_owned();
        let dir = TempDir::new()?;
        let addr = child::free_addr()?;
        let text = configuration(dir.path(), &module, &addr.to_string(), setup.descriptors);
        let file = dir.path().join("nginx.conf");
        fs::write(&file, text).trying("writing nginx.conf")?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).arg("-p").arg(dir.path());
        Running::start(command, dir, addr, format!("{nginx}, Nchan {}", module_version(setup)), &setup.guard)
    }

    fn greets(&self, _transport: Transport) -> bool {
        false
    }

    fn subscribe(&self, place: &Place, transport: Transport, _user: Option<usize>) -> Vec<u8> {
        let target = format!("/sub?id={}", place.channel);
        match transport {
            Transport::Ws => upgrade(place, &target),
            Transport::Sse => stream(place, &target),
        }
    }

    fn meaning(&self, _transport: Transport, _frame: Frame<'_>) -> Meaning {
        Meaning::Nothing
    }

    fn publish_by(&self) -> PublishBy {
        PublishBy::Http
    }

    fn publish(&self, place: &Place, payloads: &[String], out: &mut Vec<u8>) -> usize {
        // There is no batch form, but nginx takes pipelined requests.
        for payload in payloads {
            post(out, place, &format!("/pub?id={}", place.channel), "text/plain", payload);
        }
        payloads.len()
    }
}

fn module_version(setup: &Setup) -> String {
    let mut ask = Command::new("dpkg-query");
    ask.args(["-W", "-f", "${Version}", "libnginx-mod-nchan"]);
    child::output(ask, Duration::from_secs(5), &setup.guard).unwrap_or_else(|_| "of unknown version".to_owned())
}

/// One worker: with two, each message crosses shared memory, which costs more per message on a machine of two cores.
fn configuration(dir: &Path, module: &Path, addr: &str, descriptors: u64) -> String {
    // nginx closes idle connections when less than a sixteenth of these is free; the descriptors are the real limit.
    let connections = descriptors * 5 / 4;
    let (dir, module) = (dir.display(), module.display());
    format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
user root;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
load_module {module};
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  nchan_shared_memory_size 128m;
  server {{
    listen {addr} backlog=4096;
    keepalive_requests 1000000000;
    location = /pub {{
      nchan_publisher; nchan_channel_id $arg_id;
      nchan_message_buffer_length 1024; nchan_message_timeout 10m;
    }}
    location = /sub {{
      nchan_subscriber; nchan_channel_id $arg_id; nchan_subscriber_first_message newest;
    }}
  }}
}}
"
    )
}
