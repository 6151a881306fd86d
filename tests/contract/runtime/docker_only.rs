//! What only Docker can show: what a container may do, a daemon that hangs, a stream that breaks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, NetworkCreateRequest};
use bollard::query_parameters::{CreateContainerOptionsBuilder, InspectContainerOptions, InspectNetworkOptions};
use cutover::adapters::runtime::{CreateContainer, DockerConfig, DockerRuntime, Hint, Runtime, RuntimeError, labels};
use cutover::clock::Clock;
use cutover_domain::observed::Phase;
use cutover_events::workload::{Access, Hardening, Limits, Mount, MountFrom, PublishedPort, Pull, Transport};
use cutover_events::{Digest, UnitId};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::harness::{Behaviour, Harness, PATIENCE, begin_docker, run};
use super::only;
use crate::docker;

macro_rules! docker_tests {
    ($($sentence:ident),* $(,)?) => {
        mod tests {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $sentence() {
                    let name = concat!("docker_only::", stringify!($sentence));
                    let harness = super::begin_docker(name).await;
                    super::run(harness, |harness| Box::pin(super::$sentence(harness))).await;
                }
            )*
        }
    };
}

docker_tests! {
    limits_and_hardening_reach_docker,
    an_alias_and_name_servers_reach_docker,
    a_strict_container_writes_to_tmp_only,
    a_paused_container_runs_and_can_be_removed,
    the_age_of_a_run_is_told,
    a_container_with_half_our_labels_is_nobody,
    nothing_but_a_name_reaches_a_path,
    of_two_networks_with_one_name_the_smaller_id_stays,
    hints_go_on_when_the_stream_breaks_or_hangs,
    a_published_port_and_an_alias_lead_to_the_container,
    a_folder_is_mounted_and_never_made,
}

async fn raw(name: &str) -> ContainerInspectResponse {
    let docker = docker::client().await;
    docker.inspect_container(name, None::<InspectContainerOptions>).await.expect("an inspection")
}

async fn a_published_port_and_an_alias_lead_to_the_container(harness: &Harness) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = free.local_addr().expect("its address");
    drop(free);
    let port = PublishedPort { address: at.ip(), host: at.port(), container: 8080, transport: Transport::Tcp };
    let alias = Some("db".to_owned());
    let asked = CreateContainer { ports: vec![port], alias, ..harness.container(Behaviour::Serves) };
    let id = harness.runtime.create(harness.log, &asked).await.expect("a container");
    let found = raw(&asked.name).await;
    let ends = found.network_settings.and_then(|settings| settings.networks).expect("networks");
    let aliases: Vec<_> = ends.into_values().filter_map(|end| end.aliases).flatten().collect();
    assert!(aliases.contains(&"db".to_owned()), "{aliases:?}");
    harness.runtime.start(id).await.expect("a start");
    let deadline = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(at).await.is_err() {
        assert!(Instant::now() < deadline, "nothing answers on {at}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn a_folder_is_mounted_and_never_made(harness: &Harness) {
    let scratch = tempfile::tempdir().expect("a folder");
    let mount = |path: &Path| Mount {
        from: MountFrom::Folder(path.display().to_string()),
        target: "/data".to_owned(),
        access: Access::ReadOnly,
    };
    let asked = CreateContainer { mounts: vec![mount(scratch.path())], ..harness.container(Behaviour::Serves) };
    let id = harness.runtime.create(harness.log, &asked).await.expect("a container");
    let seen = harness.seen(id).await.mounts;
    assert!(matches!(seen.as_slice(), [one] if !one.writable && one.from == mount(scratch.path()).from), "{seen:?}");
    let missing = scratch.path().join("missing");
    let asked = CreateContainer { mounts: vec![mount(&missing)], ..harness.container(Behaviour::Serves) };
    let refused = harness.runtime.create(harness.log, &asked).await;
    assert!(matches!(refused, Err(RuntimeError::Refused(_))), "{refused:?}");
    assert!(!missing.exists());
}

async fn limits_and_hardening_reach_docker(harness: &Harness) {
    let limits = Limits { memory_bytes: Some(64 << 20), cpu_milli: Some(500), pids: Some(50) };
    let asked = CreateContainer {
        limits,
        hardening: Hardening::Strict,
        stop_signal: 10,
        ..harness.container(Behaviour::Serves)
    };
    harness.runtime.create(harness.log, &asked).await.expect("a container");
    let found = raw(&asked.name).await;
    let config = found.config.expect("a config");
    assert_eq!(config.stop_signal.as_deref(), Some("10"));
    let host = found.host_config.expect("a host config");
    assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
    assert_eq!((host.nano_cpus, host.pids_limit), (Some(500_000_000), Some(50)));
    assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
    assert_eq!((host.cap_drop, host.readonly_rootfs), (Some(vec!["ALL".to_owned()]), Some(true)));
    assert_eq!(host.privileged, Some(false));
    let log = host.log_config.and_then(|log| log.config).expect("a log config");
    assert_eq!((log["max-size"].as_str(), log["max-file"].as_str()), ("10m", "3"));
    let networks = found.network_settings.and_then(|settings| settings.networks).expect("networks");
    assert_eq!(networks.len(), 1);
    assert!(networks.values().all(|end| end.aliases.as_ref().is_none_or(Vec::is_empty)), "{networks:?}");
}

async fn an_alias_and_name_servers_reach_docker(harness: &Harness) {
    let asked = CreateContainer {
        alias: Some("db".to_owned()),
        dns: vec![[10, 1, 2, 3].into(), [10, 1, 2, 4].into()],
        ..harness.container(Behaviour::Serves)
    };
    harness.runtime.create(harness.log, &asked).await.expect("a container");
    let found = raw(&asked.name).await;
    let host = found.host_config.expect("a host config");
    assert_eq!(host.dns, Some(vec!["10.1.2.3".to_owned(), "10.1.2.4".to_owned()]));
    let options = host.dns_options.unwrap_or_default();
    assert!(!options.is_empty() && options.iter().all(|option| !option.starts_with("ndots")), "{options:?}");
    let networks = found.network_settings.and_then(|settings| settings.networks).expect("networks");
    let aliases: Vec<_> = networks.values().flat_map(|end| end.aliases.clone().unwrap_or_default()).collect();
    assert!(aliases.contains(&"db".to_owned()), "{aliases:?}");
}

async fn a_strict_container_writes_to_tmp_only(harness: &Harness) {
    for (hardening, root) in [(Hardening::Default, "writable"), (Hardening::Strict, "read-only")] {
        let asked = CreateContainer { hardening, ..harness.container(Behaviour::Fails) };
        let id = harness.runtime.create(harness.log, &asked).await.expect("a container");
        harness.runtime.start(id).await.expect("a start");
        harness.until(id, |seen| seen.phase == Phase::Exited).await;
        let output = harness.runtime.output(id, 4000).await.expect("an output");
        assert!(output.contains(&format!("/written: {root}\n")), "{output}");
        assert!(output.contains("/tmp/written: writable\n"), "{output}");
    }
}

async fn a_paused_container_runs_and_can_be_removed(harness: &Harness) {
    let (asked, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    docker::client().await.pause_container(&asked.name).await.expect("a pause");
    assert_eq!(harness.seen(id).await.phase, Phase::Running);
    harness.runtime.stop(id, Duration::from_secs(1)).await.expect("a stop");
    assert_eq!(harness.seen(id).await.phase, Phase::Exited);
    harness.runtime.remove(id).await.expect("a removal");
    assert_eq!(harness.runtime.inspect(id).await, Ok(None));
}

async fn the_age_of_a_run_is_told(harness: &Harness) {
    let before = Instant::now();
    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    let old = harness.until(id, |seen| seen.up_ms >= 300).await;
    // The kernel counts in hundredths of a second.
    assert!(u128::from(old.up_ms) <= before.elapsed().as_millis() + 20, "{old:?}");
}

async fn a_container_with_half_our_labels_is_nobody(harness: &Harness) {
    let name = format!("cutover-test-{}", UnitId::from_ulid(Clock::system().ulid()).suffix());
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let (asked, id) = harness.created().await;
    let labels = HashMap::from([(labels::LOG.to_owned(), harness.log.to_string())]);
    let body = ContainerCreateBody { image: Some(asked.image), labels: Some(labels), ..ContainerCreateBody::default() };
    docker::client().await.create_container(Some(options), body).await.expect("a container");
    assert_eq!(only(harness).await.id, id);
}

async fn nothing_but_a_name_reaches_a_path(harness: &Harness) {
    for bad in ["../images/json", "a/b", "-rf", ""] {
        let asked = CreateContainer { name: bad.to_owned(), ..harness.container(Behaviour::Serves) };
        assert!(matches!(harness.runtime.create(harness.log, &asked).await, Err(RuntimeError::Refused(_))), "{bad}");
        assert!(matches!(harness.runtime.remove_network(bad).await, Err(RuntimeError::Refused(_))), "{bad}");
        let resolved = harness.runtime.resolve(&format!("x/../{bad}"), (Pull::Never, ""), None).await;
        assert!(matches!(resolved, Err(RuntimeError::Refused(_))), "{bad}");
    }
    assert_eq!(harness.runtime.list(harness.log, None).await, Ok(vec![]));
}

async fn of_two_networks_with_one_name_the_smaller_id_stays(harness: &Harness) {
    let docker = docker::client().await;
    let first = docker.inspect_network(&harness.network.id, None::<InspectNetworkOptions>).await.expect("the network");
    let name = first.name.expect("a name");
    let request = NetworkCreateRequest { name: name.clone(), labels: first.labels, ..NetworkCreateRequest::default() };
    let second = match docker.create_network(request).await {
        Ok(made) => made.id,
        // Newer daemons give a name once.
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => harness.network.id.clone(),
        Err(error) => panic!("{error}"),
    };
    let smaller = harness.network.id.clone().min(second);
    let kept = harness.runtime.ensure_network(harness.log, "contract").await.expect("a network");
    assert_eq!(kept.id, smaller);
    let listed = harness.runtime.networks(harness.log).await.expect("a listing");
    assert_eq!(listed, [kept]);
}

#[tokio::test]
async fn a_daemon_that_hangs_is_found_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    // Takes connections and never answers, as a stopped process does.
    let _hangs = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let runtime = DockerRuntime::new(&DockerConfig { socket }, Clock::system());
    let log = docker::log_id("hangs");
    let begun = Instant::now();
    let id = cutover_domain::observed::DockerId(Digest::of(b"x").0);
    let (daemon, list, start, stop) = tokio::join!(
        runtime.daemon(),
        runtime.list(log, None),
        runtime.start(id),
        runtime.stop(id, Duration::from_secs(3600))
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(matches!(daemon, Err(RuntimeError::Unavailable(text)) if text.contains("ping")));
    assert!(matches!(list, Err(RuntimeError::Unavailable(_))));
    assert!(matches!((start, stop), (Err(RuntimeError::Unavailable(_)), Err(RuntimeError::Unavailable(_)))));
}

#[tokio::test]
async fn a_daemon_that_comes_later_is_used() {
    docker::client().await;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let runtime = DockerRuntime::new(&DockerConfig { socket: socket.clone() }, Clock::system());
    match runtime.daemon().await {
        Err(RuntimeError::Unavailable(text)) => assert!(text.contains("start Docker"), "{text}"),
        other => panic!("{other:?}"),
    }
    std::os::unix::fs::symlink(DockerConfig::default().socket, &socket).expect("a link");
    runtime.daemon().await.expect("the daemon");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    Cut,
    Hangs,
}

/// Passes connections on to Docker while the line is open; holds them while it hangs; ends them when it is cut.
async fn relay(listener: UnixListener, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(pass_on(stream, line.clone()));
    }
}

async fn pass_on(mut near: UnixStream, mut line: watch::Receiver<Line>) {
    let mut far = UnixStream::connect(DockerConfig::default().socket).await.expect("Docker");
    let ended = tokio::select! {
        biased;
        changed = line.wait_for(|line| *line != Line::Open) => *changed.expect("the test lives"),
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => Line::Cut,
    };
    if ended == Line::Hangs {
        // Open and silent for ever, whatever becomes of the line: only a ping beside it tells.
        std::future::pending::<()>().await;
    }
}

/// Every connection holds a receiver, and so does the relay.
async fn all_cut(line: &watch::Sender<Line>) {
    let deadline = Instant::now() + PATIENCE;
    while line.receiver_count() > 1 {
        assert!(Instant::now() < deadline, "a connection is still open");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn hints_go_on_when_the_stream_breaks_or_hangs(harness: &Harness) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket: PathBuf = Path::new(folder.path()).join("docker.sock");
    let (line, sees_line) = watch::channel(Line::Open);
    let mut tasks = JoinSet::new();
    tasks.spawn(relay(UnixListener::bind(&socket).expect("a socket"), sees_line));
    let runtime = Arc::new(DockerRuntime::new(&DockerConfig { socket }, Clock::system()));
    let mut hints = runtime.clone().hints(harness.log);
    for ended in [Line::Cut, Line::Hangs] {
        let first = timeout(PATIENCE, hints.recv()).await.expect("a hint in time");
        assert_eq!(first, Some(Hint::LookAtAll));
        let (asked, _) = harness.created().await;
        // Events of the last second may be told twice.
        let about = async { while hints.recv().await != Some(Hint::Workload(asked.workload)) {} };
        timeout(PATIENCE, about).await.expect("a hint about the workload");
        line.send(ended).expect("the relay lives");
        match ended {
            // The heartbeat sees it; nothing else can tell.
            Line::Hangs => (),
            Line::Open | Line::Cut => all_cut(&line).await,
        }
        let lost = async { while hints.recv().await != Some(Hint::Lost) {} };
        timeout(PATIENCE, lost).await.expect("the loss is told");
        line.send(Line::Open).expect("the relay lives");
    }
    let last = timeout(PATIENCE, hints.recv()).await.expect("a hint in time");
    assert_eq!(last, Some(Hint::LookAtAll));
    drop(hints);
}
