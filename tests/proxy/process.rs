//! Parent and child: who is replaced, who refuses, who ends with whom.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cutover::adapters::router::HttpRouter;
use cutover::adapters::router::Router;
use cutover_proxy::config::Config;
use cutover_proxy::process::{self, ProcessError, Reexec};
use cutover_proxy::wire::{Put, RoutePolicy, Table, Witness};
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::names::{addresses, free_port, names, query};
use crate::support::{Origin, PATIENCE, Raw, config, route, target, until};

/// The settings of a parent, in the folder that it works in.
const SETTINGS: &str = "parent.json";
const ENTRY: [&str; 3] = ["--exact", "process::entry_of_child_processes", "--nocapture"];

/// Not a test by itself: the tests below start this binary again with it, in a folder with settings.
#[test]
fn entry_of_child_processes() {
    let Ok(settings) = std::fs::read(SETTINGS) else { return };
    let stdin = rustix::fs::fstat(std::io::stdin()).unwrap();
    if rustix::fs::FileType::from_raw_mode(stdin.st_mode) == rustix::fs::FileType::Socket {
        let code = process::serve();
        assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
        return;
    }
    let reexec = Reexec { program: std::env::current_exe().unwrap(), args: ENTRY.map(Into::into).into() };
    process::run(&serde_json::from_slice(&settings).unwrap(), &reexec).unwrap();
}

struct Proxy {
    folder: TempDir,
    config: Config,
    parent: Child,
    router: HttpRouter,
}

impl Proxy {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = free_address();
        let config = Config { listen: vec![listen], name_port: free_port(), ..config(folder.path()) };
        let parent = parent(folder.path(), &config);
        let router = HttpRouter::new(config.folder.join("admin.sock"));
        let proxy = Self { folder, config, parent, router };
        proxy.table_where(|_| true).await;
        proxy
    }

    /// The table as soon as it is as wanted.
    async fn table_where(&self, wanted: impl Fn(&Table) -> bool) -> Table {
        let found = std::cell::RefCell::new(None);
        until("the proxy answers", || async {
            *found.borrow_mut() = self.router.table().await.ok().filter(&wanted);
            found.borrow().is_some()
        })
        .await;
        found.into_inner().unwrap()
    }

    async fn get(&self) -> String {
        let mut raw = Raw::connect(self.config.listen[0]).await;
        raw.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").await;
        raw.rest().await
    }

    fn signal_parent(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.parent), signal).unwrap();
    }
}

fn pid(table: &Table) -> Pid {
    Pid::from_raw(i32::try_from(table.pid).unwrap()).unwrap()
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn parent(folder: &Path, config: &Config) -> Child {
    std::fs::write(folder.join(SETTINGS), serde_json::to_vec(config).unwrap()).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(ENTRY)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn write(table: &Table, origin: &Origin) -> Put {
    Put {
        workload: "wl_app".into(),
        name: "default/app".into(),
        log: "log_1".into(),
        generation: 1,
        router_boot: table.router_boot.clone(),
        writer_epoch: 1,
        witness: Witness::default(),
        routes: vec![route("app.test", "/", origin.address.port())],
        targets: vec![target("u1", origin.address)],
        former: Vec::new(),
        probe: None,
        names: None,
        policy: RoutePolicy { drain_ms: 1_000, half_close: false },
    }
}

/// What a second proxy on the same folder says.
async fn second(proxy: &Proxy) -> ProcessError {
    let config = Config { listen: vec![free_address()], ..proxy.config.clone() };
    let reexec = Reexec { program: "/bin/false".into(), args: Vec::new() };
    tokio::task::spawn_blocking(move || process::run(&config, &reexec)).await.unwrap().unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_child_is_replaced_and_connections_wait_for_its_successor() {
    let mut proxy = Proxy::start().await;
    let origin = Origin::named("here").await;
    let first = proxy.table_where(|_| true).await;
    proxy.router.put(&write(&first, &origin)).await.unwrap();
    assert!(proxy.get().await.ends_with("here"));
    let mut last = first;
    for _ in 0..3 {
        kill_process(pid(&last), Signal::KILL).unwrap();
        // No pause: this connection waits in the backlog until somebody serves.
        let mut answer = proxy.get().await;
        while answer.is_empty() {
            // It was accepted by the process that was being killed.
            answer = proxy.get().await;
        }
        assert!(answer.ends_with("here"), "{answer}");
        let former = last.router_boot.clone();
        last = proxy.table_where(|table| table.router_boot != former).await;
        assert_eq!(last.entries.len(), 1);
    }
    proxy.signal_parent(Signal::TERM);
    assert!(proxy.parent.wait().unwrap().success());
    assert!(test_kill_process(pid(&last)).is_err(), "the child outlived SIGTERM to its parent");
    let gone = std::net::TcpStream::connect(proxy.config.listen[0]);
    assert!(gone.is_err());
    assert!(proxy.folder.path().join("proxy/table.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_serves_on_without_its_parent_and_a_second_proxy_names_it() {
    let mut proxy = Proxy::start().await;
    let origin = Origin::named("here").await;
    let table = proxy.table_where(|_| true).await;
    proxy.router.put(&write(&table, &origin)).await.unwrap();
    let named =
        |error: &ProcessError| matches!(error, ProcessError::Locked { pid, .. } if *pid == table.pid.to_string());
    let error = second(&proxy).await;
    assert!(named(&error), "{error}");
    proxy.signal_parent(Signal::KILL);
    proxy.parent.wait().unwrap();
    assert!(proxy.get().await.ends_with("here"));
    let error = second(&proxy).await;
    assert!(named(&error), "{error}");
    assert!(error.to_string().contains("stop it first"), "{error}");
    kill_process(pid(&table), Signal::TERM).unwrap();
    until_gone(&proxy).await;
    // Now the folder is free, with its table.
    let mut again = parent(proxy.folder.path(), &proxy.config);
    let table = proxy.table_where(|_| true).await;
    assert!(proxy.get().await.ends_with("here"));
    assert_eq!(table.entries.len(), 1);
    kill_process(Pid::from_child(&again), Signal::TERM).unwrap();
    again.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_for_names_wait_for_the_successor_of_a_killed_child() {
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 40, 1);
    let mut proxy = Proxy::start().await;
    let origin = Origin::named("here").await;
    let mut last = proxy.table_where(|_| true).await;
    let put = Put { names: names(GATEWAY, &["web"]), ..write(&last, &origin) };
    proxy.router.put(&put).await.unwrap();
    proxy.table_where(|table| table.gateways.iter().any(|gateway| gateway.problem.is_none())).await;
    let socket = std::net::UdpSocket::bind("127.0.40.9:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect((GATEWAY, proxy.config.name_port)).unwrap();
    let mut reply = [0; 512];
    for _ in 0..3 {
        kill_process(pid(&last), Signal::KILL).unwrap();
        let former = last.router_boot.clone();
        // It is dead, and its successor does not answer yet: the one datagram waits in the socket of the gateway.
        until("it is dead", || async { proxy.router.table().await.map_or(true, |table| table.router_boot != former) })
            .await;
        socket.send(&query("web.", RecordType::A)).unwrap();
        let length = socket.recv(&mut reply).unwrap();
        let answer = Message::from_vec(&reply[..length]).unwrap();
        assert_eq!(addresses(&answer), [origin.address.ip().to_string()]);
        last = proxy.table_where(|table| table.router_boot != former).await;
    }
    proxy.signal_parent(Signal::TERM);
    proxy.parent.wait().unwrap();
}

async fn until_gone(proxy: &Proxy) {
    // It stops answering before it ends, and only its end frees the folder.
    let lock = std::fs::File::open(proxy.config.folder.join("lock")).unwrap();
    until("the child ends", || async { flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() }).await;
}
