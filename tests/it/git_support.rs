//! Repositories for tests, and git's own servers for them on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Runs git where nothing of the person's own settings counts; gives what it prints.
pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let out = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "protocol.file.allow=always"])
        .args(["-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false"])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A repository that is worked on, and a bare one beside it that is served as `NAME.git`.
pub(crate) struct Repository {
    root: PathBuf,
    name: String,
}

impl Repository {
    /// With no commit yet.
    pub(crate) fn new(root: &Path, name: &str) -> Self {
        git(root, &["init", "--quiet", name]);
        git(root, &["init", "--quiet", "--bare", &format!("{name}.git")]);
        git(root, &["-C", name, "remote", "add", "origin", &format!("../{name}.git")]);
        Self { root: root.to_owned(), name: name.to_owned() }
    }

    /// One that was made before.
    pub(crate) fn of(root: &Path, name: &str) -> Self {
        Self { root: root.to_owned(), name: name.to_owned() }
    }

    /// The folder that is worked in.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// Writes files, commits and pushes them; gives the commit.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            let path = self.work().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        git(&self.work(), &["add", "--all"]);
        git(&self.work(), &["commit", "--quiet", "--allow-empty", "-m", "change"]);
        git(&self.work(), &["push", "--quiet", "--follow-tags", "origin", "HEAD"]);
        git(&self.work(), &["rev-parse", "HEAD"])
    }
}

/// A server of repositories.
pub(crate) struct Served {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What was asked for: method, path, and whether a credential came with it.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Cgi {
    root: PathBuf,
    /// What must come in the Authorization header.
    credential: Option<String>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Git's own http-backend behind the smallest server that can run it.
pub(crate) async fn http(root: &Path, credential: Option<&str>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::default();
    let cgi = Cgi { root: root.to_owned(), credential: credential.map(str::to_owned), asked: Arc::clone(&asked) };
    let router = Router::new().fallback(backend).with_state(cgi);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Served { address, asked, _tasks: tasks }
}

async fn backend(State(cgi): State<Cgi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    cgi.asked.lock().push(format!(
        "{} {} {}",
        parts.method,
        parts.uri,
        if given.is_some() { "with" } else { "without" }
    ));
    if cgi.credential.as_deref().is_some_and(|wanted| given != Some(wanted)) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")]).into_response();
    }
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &cgi.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text(&parts.headers, "content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", text(&parts.headers, "content-encoding"))
        .env("GIT_PROTOCOL", text(&parts.headers, "git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move {
        // A backend that has heard enough closes its side.
        stdin.write_all(&body).await.ok();
        drop(stdin);
    };
    let (out, ()) = tokio::join!(child.wait_with_output(), feed);
    answer(&out.unwrap().stdout)
}

/// What a CGI program prints, as an answer.
fn answer(out: &[u8]) -> Response {
    let end = out.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::new(Body::from(Bytes::copy_from_slice(&out[end + 4..])));
    for line in std::str::from_utf8(&out[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name.eq_ignore_ascii_case("status") {
            *response.status_mut() = value.split(' ').next().unwrap().parse::<u16>().unwrap().try_into().unwrap();
        } else {
            response.headers_mut().insert(name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap());
        }
    }
    response
}

/// Git's own daemon; ended when this is dropped.
pub(crate) struct Daemon {
    /// Where.
    pub(crate) address: SocketAddr,
    group: rustix::process::Pid,
    _child: tokio::process::Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        rustix::process::kill_process_group(self.group, rustix::process::Signal::KILL).ok();
    }
}

/// Serves the repositories below `root` by git's own protocol.
pub(crate) async fn daemon(root: &Path) -> Daemon {
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        free.local_addr().unwrap()
    };
    let child = tokio::process::Command::new("git")
        .args(["daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1"])
        .arg(format!("--port={}", address.port()))
        .arg(format!("--base-path={}", root.display()))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let group = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).await.is_err() {
        assert!(Instant::now() < deadline, "git daemon does not listen");
        sleep(Duration::from_millis(20)).await;
    }
    Daemon { address, group, _child: child }
}
