//! Programs of people on the machine's Docker, through the command line: what they print and end with, what is recorded,
//! and what becomes of them when one side goes away.

use std::process::{Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::timeout;

use crate::docker;
use crate::stand::{PATIENCE, Stand, ended, labelled, lossy, processes, signal, text};

pub(crate) fn name(stand: &Stand) -> String {
    format!("{}/web", stand.project)
}

pub(crate) async fn exec(stand: &Stand, command: &[&str]) -> Output {
    let name = name(stand);
    stand.ask(&[&["exec", &name, "--"], command].concat()).await
}

pub(crate) async fn run(stand: &Stand, command: &[&str]) -> Output {
    let name = name(stand);
    stand.ask(&[&["run", &name, "--"], command].concat()).await
}

/// A client at a program that goes on, once that has begun.
pub(crate) async fn hanging(stand: &Stand, verb: &str, command: &[&str]) -> Child {
    let name = name(stand);
    let mut client = stand.command(&[&[verb, &name, "--"], command].concat());
    let mut client = client.stdin(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 5];
    timeout(PATIENCE, client.stdout.as_mut().unwrap().read_exact(&mut said)).await.unwrap().unwrap();
    assert_eq!(&said, b"hangs");
    client
}

/// The container that serves, and processes in it that hang.
async fn left_in_web(stand: &Stand) -> usize {
    let containers = labelled(stand.log).await;
    let web = containers.iter().find(|name| !name.contains("-run-")).unwrap();
    processes(web.trim_start_matches('/')).await.iter().filter(|command| command.contains("hang")).count()
}

/// How the newest program of a person ended, once it has.
pub(crate) async fn last_end(stand: &Stand, count: usize) -> Value {
    stand.until("the end is recorded", async |stand| stand.of_kind("ErrandEnded").await.len() >= count).await;
    stand.of_kind("ErrandEnded").await.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_in_a_container_that_serves_has_pipes_and_its_code_is_the_commands() {
    let stand = Stand::begin().await;
    stand.apply("web", &stand.web("blue")).await;
    let said = exec(&stand, &["/app", "say", "one", "hunter2", "7"]).await;
    assert_eq!(
        (said.status.code(), lossy(&said.stdout), lossy(&said.stderr)),
        (Some(7), "one".into(), "hunter2".into())
    );
    let begun = stand.of_kind("ErrandBegun").await.pop().unwrap();
    assert_eq!(text(&begun, "program").as_deref(), Some("app"));
    assert_eq!(text(&begun, "terminal").as_deref(), Some("false"));
    let end = last_end(&stand, 1).await;
    assert_eq!((text(&end, "end"), text(&end, "exit_code")), (Some("exited".into()), Some("7".into())));
    let told = stand.must(&["timeline", &name(&stand)]).await;
    assert!(told.contains("runs app in cutover-") && told.contains("ended with 7"), "{told}");
    let log = stand.must(&["events", "--json"]).await;
    assert!(!log.contains("hunter2"), "an argument is recorded");

    // More than any buffer, both ways, to the last byte.
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let name = name(&stand);
    let mut client = stand.command(&["exec", &name, "--", "/app", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let (mut input, all) = (client.stdin.take().unwrap(), sent.clone());
    let typed = async move {
        input.write_all(&all).await.unwrap();
        drop(input);
    };
    let (output, ()) = timeout(PATIENCE, async { tokio::join!(client.wait_with_output(), typed) }).await.unwrap();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", lossy(&output.stderr));
    assert!(output.stdout == sent, "{} of {} bytes came back", output.stdout.len(), sent.len());
    let flood = exec(&stand, &["/app", "flood", "8388608"]).await;
    assert_eq!((flood.status.code(), flood.stdout.len()), (Some(0), 8_388_608));

    let none = exec(&stand, &["/no/such/program"]).await;
    assert!(matches!(none.status.code(), Some(126 | 127)), "{none:?}");
    assert!(lossy(&none.stderr).contains("program cannot be run there"), "{none:?}");
    for (args, code, why) in [
        (vec!["exec", &name, "--replica", "9", "--", "/app"], 3, "has no replica 9: it has 1"),
        (vec!["exec", &name, "--process", "worker", "--", "/app"], 3, "has no process worker: it has none"),
        (vec!["exec", "nobody/web", "--", "/app"], 3, "nobody/web"),
    ] {
        let refused = stand.ask(&args).await;
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {}", lossy(&refused.stderr));
        assert!(lossy(&refused.stderr).contains(why), "{}", lossy(&refused.stderr));
    }
    stand.end(&["web"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_its_own_is_made_of_what_serves_and_goes_with_its_program() {
    let stand = Stand::begin().await;
    let volumes = "volumes = [\"notes:/data:shared\"]\n";
    stand.apply("web", &format!("{}{volumes}", stand.web("blue"))).await;
    let greeting = run(&stand, &["env", "GREETING"]).await;
    assert_eq!((greeting.status.code(), lossy(&greeting.stdout)), (Some(0), "hello\n".into()), "{greeting:?}");
    assert_eq!(labelled(stand.log).await.len(), 1, "it is gone before the command has ended");
    assert_eq!(run(&stand, &["write", "/data/note", "a note"]).await.status.code(), Some(0));
    let read = exec(&stand, &["/app", "read", "/data/note"]).await;
    assert_eq!(lossy(&read.stdout), "a note\n", "{read:?}");
    assert_eq!(run(&stand, &["say", "", "", "9"]).await.status.code(), Some(9));

    let client = hanging(&stand, "run", &["hang"]).await;
    let containers = labelled(stand.log).await;
    let own = containers.iter().find(|name| name.contains("-run-")).unwrap();
    let found = docker::client().await.inspect_container(own.trim_start_matches('/'), None).await.unwrap();
    let networks = found.network_settings.unwrap().networks.unwrap();
    assert_eq!(networks.len(), 1);
    assert!(networks.keys().all(|network| network.contains(&stand.project)), "{networks:?}");
    let status = stand.must(&["status", &name(&stand)]).await;
    assert!(!status.contains("-run-"), "it is no unit of the workload: {status}");
    // As an engine that a service manager ends does it.
    let mut stand = stand;
    stand.end_engine().await;
    let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(lossy(&output.stderr).contains("the engine was stopped"), "{output:?}");
    assert_eq!(labelled(stand.log).await.len(), 1, "no engine leaves one behind");
    stand.start().await;
    assert_eq!(text(&last_end(&stand, 5).await, "end").as_deref(), Some("stopped"));

    let client = hanging(&stand, "run", &["hang"]).await;
    stand.must(&["teardown", &name(&stand), "--volumes"]).await;
    let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
    assert!(lossy(&output.stderr).contains("torn down"), "{output:?}");
    stand.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_is_at_any_more_ends_with_all_that_it_has_started() {
    let stand = Stand::begin().await;
    stand.apply("web", &stand.web("blue")).await;
    let mut client = hanging(&stand, "exec", &["/app", "spawn"]).await;
    stand.until("its child runs too", async |stand| left_in_web(stand).await == 1).await;
    client.kill().await.unwrap();
    let end = last_end(&stand, 1).await;
    assert_eq!(text(&end, "end").as_deref(), Some("left"));
    stand.until("nothing of it is left", async |stand| left_in_web(stand).await == 0).await;

    let mut client = hanging(&stand, "run", &["hang"]).await;
    client.kill().await.unwrap();
    assert_eq!(text(&last_end(&stand, 2).await, "end").as_deref(), Some("left"));
    assert_eq!(labelled(stand.log).await.len(), 1);

    // A person who interrupts a command without a terminal.
    let client = hanging(&stand, "exec", &["/app", "hang"]).await;
    signal(&client, Signal::INT);
    let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    last_end(&stand, 3).await;
    stand.until("nothing of it is left", async |stand| left_in_web(stand).await == 0).await;
    stand.end(&["web"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_leaves_no_container_and_no_program_without_an_end() {
    let mut stand = Stand::begin().await;
    stand.apply("web", &stand.web("blue")).await;
    let (inside, alone) = (hanging(&stand, "exec", &["/app", "hang"]).await, hanging(&stand, "run", &["hang"]).await);
    assert_eq!(labelled(stand.log).await.len(), 2);
    stand.kill().await;
    for client in [inside, alone] {
        let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert!(lossy(&output.stderr).contains("how the program ended is not known"), "{output:?}");
    }
    stand.start().await;
    stand.until("its container is gone", async |stand| labelled(stand.log).await.len() == 1).await;
    last_end(&stand, 2).await;
    for end in stand.of_kind("ErrandEnded").await {
        assert_eq!(text(&end, "end").as_deref(), Some("unknown"));
    }
    assert!(stand.must(&["doctor"]).await.contains("web"));
    stand.end(&["web"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_or_has_no_container_runs_nothing_and_stays_so() {
    let mut stand = Stand::begin().await;
    let web = name(&stand);
    stand.apply("web", &stand.web("blue")).await;
    stand.must(&["stop", &web]).await;
    for verb in ["exec", "run"] {
        let refused = stand.ask(&[verb, &web, "--", "/app", "cat"]).await;
        assert_eq!(refused.status.code(), Some(4), "{refused:?}");
        assert!(lossy(&refused.stderr).contains("it was stopped by"), "{refused:?}");
    }
    stand.kill().await;
    stand.start().await;
    let status = stand.must(&["status", &web]).await;
    assert!(status.contains("stopped"), "{status}");
    // A look of every lane has passed when the doctor has had one.
    stand.must(&["doctor"]).await;
    stand.until("its container is gone", async |stand| labelled(stand.log).await.is_empty()).await;
    stand.must(&["start", &web]).await;
    assert!(stand.get("/").await.ends_with("blue"));
    assert_eq!(exec(&stand, &["/app", "env", "WHO"]).await.stdout, b"blue\n");

    let pages = stand.folder().join("src/pages");
    std::fs::create_dir(&pages).unwrap();
    std::fs::write(pages.join("index.html"), "<p>hello</p>").unwrap();
    let lines = format!("static = \"{}\"\nhost = \"pages.{}.test\"", pages.display(), stand.project);
    stand.apply("pages", &lines).await;
    let pages = format!("{}/pages", stand.project);
    for verb in ["exec", "run"] {
        let refused = stand.ask(&[verb, &pages, "--", "/app", "cat"]).await;
        assert_eq!(refused.status.code(), Some(4), "{refused:?}");
        assert!(lossy(&refused.stderr).contains("the proxy serves its files by itself"), "{refused:?}");
    }
    assert_eq!(stand.of_kind("ErrandBegun").await.len(), 1, "what is refused is not begun");
    stand.end(&["web", "pages"]).await;
}

mod terminal {
    use super::*;
    use crate::terminal::Terminal;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_program_at_a_terminal_has_its_size_and_every_key_and_leaves_it_as_it_was() {
        let stand = Stand::begin().await;
        stand.apply("web", &stand.web("blue")).await;
        let web = name(&stand);
        // Ctrl-C and Ctrl-D are keys of the program's terminal. The first process of a container does not heed the former.
        let exec: (&str, &[&str], &str) = ("exec", &["/app", "sizes"], "\u{3}");
        let run: (&str, &[&str], &str) = ("run", &["sizes"], "\u{4}");
        for (count, (verb, command, end_key)) in [(1, exec), (2, run)] {
            let mut terminal = Terminal::open(100, 40);
            assert!(!terminal.is_raw());
            let mut client = terminal.command(&stand, &[&[verb, &web, "--"], command].concat());
            terminal.shows("100 40", "\r");
            assert!(terminal.is_raw());
            terminal.size(120, 50);
            signal(&client, Signal::WINCH);
            terminal.shows("120 50", "\r");
            terminal.types(end_key);
            let status = timeout(PATIENCE, client.wait()).await.unwrap().unwrap();
            assert!(!terminal.is_raw());
            let end = last_end(&stand, count).await;
            assert_eq!(text(&end, "end").as_deref(), Some("exited"), "{end}");
            assert_eq!(status.code().map(|code| code.to_string()), text(&end, "exit_code"), "{verb}");
        }
        let begun = stand.of_kind("ErrandBegun").await;
        assert!(begun.iter().all(|event| text(event, "terminal").as_deref() == Some("true")), "{begun:?}");

        // Whoever ends the command from elsewhere finds the terminal as it was too.
        let mut terminal = Terminal::open(80, 24);
        let mut client = terminal.command(&stand, &["exec", &web, "--", "/app", "sizes"]);
        terminal.shows("80 24", "\r");
        assert!(terminal.is_raw());
        signal(&client, Signal::TERM);
        assert_eq!(timeout(PATIENCE, client.wait()).await.unwrap().unwrap().code(), Some(130));
        assert!(!terminal.is_raw());
        assert_eq!(text(&last_end(&stand, 3).await, "end").as_deref(), Some("left"));

        // Without a terminal at both ends there is none.
        let terminal = Terminal::open(80, 24);
        let mut command = stand.command(&["exec", &web, "--", "/app", "sizes"]);
        command.stdin(Stdio::null()).stderr(Stdio::from(terminal.slave.try_clone().unwrap()));
        assert_eq!(lossy(&ended(command).await.stdout), "none\n");
        stand.end(&["web"]).await;
    }
}
