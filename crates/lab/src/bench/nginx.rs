//! nginx as the peer: as people run it before an application or a folder, with JSON access log, request id and forwarding
//! headers.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::Result;
use crate::process;
use crate::stand::Stand;

/// How nginx passes on.
const PASS: &str = r#"proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;"#;

/// What nginx serves.
pub(super) enum Serves<'a> {
    /// An application.
    Origin(SocketAddr),
    /// A folder.
    Folder(&'a Path),
}

/// A running nginx; ends when it is dropped.
pub(super) struct Nginx {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Nginx {
    /// Starts it.
    pub(super) async fn start(stand: &Stand, serves: Serves<'_>) -> Result<Self> {
        let addr = crate::stand::free_port()?;
        let folder = stand.folder().join("nginx");
        std::fs::create_dir_all(&folder)?;
        let config = config(addr, &serves, &folder.display().to_string());
        let file = stand.write("nginx/nginx.conf", &config)?;
        let child = Command::new("nginx")
            .args(["-p", &folder.display().to_string(), "-c", &file, "-e", "error.log"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("nginx does not run: {error}; scripts/bench installs it"))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while tokio::net::TcpStream::connect(addr).await.is_err() {
            if Instant::now() > deadline {
                return Err("nginx does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { child, addr })
    }

    /// Master and workers.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.child.id().map(process::tree).unwrap_or_default()
    }

    /// Ends it, workers included.
    pub(super) async fn end(mut self) {
        process::end(&self.pids(), Duration::from_secs(3)).await;
        drop(self.child.wait().await);
    }
}

fn config(addr: SocketAddr, serves: &Serves<'_>, folder: &str) -> String {
    let (upstream, location) = match serves {
        Serves::Origin(origin) => (
            format!("upstream origin {{ server {origin}; keepalive 128; keepalive_requests 1000000; }}"),
            PASS.to_owned(),
        ),
        Serves::Folder(root) => (String::new(), format!("root {}; gzip_static on;", root.display())),
    };
    format!(
        r#"daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  log_format json escape=json '{{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr","host":"$host",'
    '"method":"$request_method","uri":"$request_uri","status":$status,"bytes":$body_bytes_sent,'
    '"seconds":$request_time,"upstream":"$upstream_addr","upstream_seconds":"$upstream_response_time",'
    '"agent":"$http_user_agent"}}';
  access_log {folder}/access.log json;
  keepalive_requests 1000000;
  sendfile on; tcp_nopush on;
  include /etc/nginx/mime.types;
  {upstream}
  server {{
    listen {addr} reuseport;
    location / {{
      {location}
      add_header X-Request-Id $request_id;
    }}
  }}
}}
"#
    )
}
