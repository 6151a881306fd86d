//! People at the services of a stack: what they run there and what the services print, through the command line on the
//! machine's Docker, with both generations of Compose.

use std::path::Path;

use rustix::process::Signal;
use tokio::time::timeout;

use crate::docker;
use crate::errands::{exec, hanging, last_end, name, run};
use crate::following::Reader;
use crate::stacks::{PACKAGED, SECOND, docker_said};
use crate::stand::{PATIENCE, Stand, labelled, lossy, signal, text};
use crate::terminal::Terminal;

/// What the service is given as a secret; nothing else on this machine looks like it.
const TOKEN: &str = "stack-Zq8!t0ken";
const ONE: &str = "services:\n  web: { image: IMAGE, stop_grace_period: 1s, volumes: [\"data:/data\"], networks: [back, front], environment: { WHO: \"${WHO}\", TOKEN: \"${TOKEN}\" } }\nvolumes: { data: {} }\nnetworks: { back: {}, front: {} }\n";
const PLAIN: &str = "services:\n  web: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: \"${WHO}\" } }\n";
const TWO: &str = "services:\n  web: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: \"${WHO}\" } }\n  db: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: \"the data\" } }\n";

/// An engine over this Compose; `None` where there is none, which is said.
async fn begin(program: &str) -> Option<Stand> {
    if !Path::new(program).exists() {
        assert!(Path::new(PACKAGED).exists(), "no Compose here: run scripts/docker first");
        eprintln!("NOT TESTED: there is no {program}; run scripts/docker");
        return None;
    }
    Some(Stand::begin_with(&format!("[docker]\ncompose = \"{program}\"")).await)
}

fn project(stand: &Stand) -> String {
    format!("cut-{}", stand.project)
}

/// The lines of the stack `web`, whose service `web` answers with `who`.
fn lines(stand: &Stand, stack: &str, who: &str) -> String {
    let token = if stack.contains("TOKEN") { ", TOKEN = \"${secret:token}\"" } else { "" };
    format!(
        "compose = {{ compose_project_name = \"{}\", compose_yaml = \"\"\"\n{}\"\"\" }}\nenv = {{ WHO = \"{who}\"{token} }}\n\
         policy = {{ liveness = \"200ms\", drain = \"100ms\" }}\n\
         [[workloads.web.routes]]\nhost = \"web.{}.test\"\nservice = \"web\"\nport = 8080\n",
        project(stand),
        stack.replace("IMAGE", &stand.image),
        stand.project
    )
}

/// The stack with one service is live, and has its secret.
async fn live(stand: &Stand) {
    let token = stand.folder().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    stand.must(&["secret", "set", &format!("{}/token", stand.project), "--file", &token.to_string_lossy()]).await;
    stand.apply("web", &lines(stand, ONE, "blue")).await;
}

/// Everything of the project on Docker: containers, networks, volumes.
fn of_project(stand: &Stand) -> Vec<String> {
    let filter = format!("label=com.docker.compose.project={}", project(stand));
    let of = |list: &[&str]| docker_said(&[list, &["-q", "--filter", &filter]].concat());
    [of(&["ps", "-a"]), of(&["network", "ls"]), of(&["volume", "ls"])].concat()
}

async fn gone(stand: Stand) {
    stand.must(&["teardown", &name(&stand), "--yes"]).await;
    assert_eq!(of_project(&stand), [] as [String; 0]);
    stand.end(&[]).await;
}

async fn in_one_service(program: &str) {
    let Some(stand) = begin(program).await else { return };
    live(&stand).await;
    let said = exec(&stand, &["/app", "say", "one", "two", "7"]).await;
    assert_eq!((said.status.code(), lossy(&said.stdout), lossy(&said.stderr)), (Some(7), "one".into(), "two".into()));
    let begun = stand.of_kind("ErrandBegun").await.pop().unwrap();
    assert_eq!(text(&begun, "program").as_deref(), Some("app"));
    assert_eq!(text(&last_end(&stand, 1).await, "exit_code").as_deref(), Some("7"));

    // What its compose file gives it: environment, volumes, networks; and nothing that it has for itself.
    assert_eq!(lossy(&run(&stand, &["env", "WHO"]).await.stdout), "blue\n");
    assert_eq!(run(&stand, &["write", "/data/note", "a note"]).await.status.code(), Some(0));
    assert_eq!(lossy(&exec(&stand, &["/app", "read", "/data/note"]).await.stdout), "a note\n");
    assert_eq!(run(&stand, &["say", "", "", "9"]).await.status.code(), Some(9));
    let told = run(&stand, &["env", "TOKEN"]).await;
    assert_eq!(lossy(&told.stdout), "[secret]\n", "{told:?}");
    assert_eq!(labelled(stand.log).await, [] as [String; 0], "each is gone before its command has ended");
    let mut client = hanging(&stand, "run", &["hang"]).await;
    let own = labelled(stand.log).await;
    let found = docker::client().await.inspect_container(own[0].trim_start_matches('/'), None).await.unwrap();
    let networks = found.network_settings.unwrap().networks.unwrap();
    let mut joined: Vec<_> = networks.keys().map(|name| name.rsplit('_').next().unwrap()).collect();
    joined.sort_unstable();
    assert_eq!(joined, ["back", "front"]);
    let names: Vec<_> = networks.values().flat_map(|end| end.aliases.iter().flatten()).collect();
    assert!(!names.iter().any(|name| *name == "web"), "it answers for the service: {names:?}");
    let status = stand.must(&["status", &name(&stand)]).await;
    assert!(status.contains("running") && !status.contains("-run-"), "it is no part of the stack: {status}");
    // The stack is as it was to Compose too: the next deployment leaves whoever is at work where they are.
    stand.apply("web", &lines(&stand, ONE, "green")).await;
    assert_eq!(labelled(stand.log).await, own);
    assert!(stand.get("/").await.ends_with("green"));
    client.kill().await.unwrap();
    assert_eq!(text(&last_end(&stand, 7).await, "end").as_deref(), Some("left"));
    assert_eq!(labelled(stand.log).await, [] as [String; 0]);

    let client = hanging(&stand, "run", &["hang"]).await;
    stand.must(&["teardown", &name(&stand), "--yes"]).await;
    let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
    // Ended by the engine, or by Compose, whose `down` kills what does not end.
    assert!(matches!(output.status.code(), Some(7 | 137)), "{output:?}");
    let log = stand.must(&["events", "--json"]).await;
    assert!(!log.contains("a note") && !log.contains(TOKEN), "an argument or a value is recorded");
    gone(stand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_run_in_a_stack_of_the_first_generation() {
    in_one_service(PACKAGED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_run_in_a_stack_of_the_second_generation() {
    in_one_service(SECOND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_leaves_no_container_beside_a_stack() {
    let Some(mut stand) = begin(SECOND).await else { return };
    live(&stand).await;
    let (inside, alone) = (hanging(&stand, "exec", &["/app", "hang"]).await, hanging(&stand, "run", &["hang"]).await);
    assert_eq!(labelled(stand.log).await.len(), 1);
    stand.kill().await;
    for client in [inside, alone] {
        let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
    }
    stand.start().await;
    stand.until("its container is gone", async |stand| labelled(stand.log).await.is_empty()).await;
    last_end(&stand, 2).await;
    for end in stand.of_kind("ErrandEnded").await {
        assert_eq!(text(&end, "end").as_deref(), Some("unknown"));
    }
    assert!(stand.must(&["doctor"]).await.contains("web"));
    gone(stand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_a_terminal_in_a_stack_too() {
    let Some(stand) = begin(SECOND).await else { return };
    live(&stand).await;
    let web = name(&stand);
    let exec: (&str, &[&str], &str) = ("exec", &["/app", "sizes"], "\u{3}");
    let run: (&str, &[&str], &str) = ("run", &["sizes"], "\u{4}");
    for (count, (verb, command, end_key)) in [(1, exec), (2, run)] {
        let mut terminal = Terminal::open(100, 40);
        let mut client = terminal.command(&stand, &[&[verb, &web, "--"], command].concat());
        terminal.shows("100 40", "\r");
        terminal.size(120, 50);
        signal(&client, Signal::WINCH);
        terminal.shows("120 50", "\r");
        terminal.types(end_key);
        let status = timeout(PATIENCE, client.wait()).await.unwrap().unwrap();
        let end = last_end(&stand, count).await;
        assert_eq!(text(&end, "end").as_deref(), Some("exited"), "{end}");
        assert_eq!(status.code().map(|code| code.to_string()), text(&end, "exit_code"), "{verb}");
    }
    gone(stand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_answered_with_those_that_are() {
    let Some(stand) = begin(SECOND).await else { return };
    stand.apply("web", &lines(&stand, PLAIN, "blue")).await;
    let web = name(&stand);
    let named = stand.ask(&["exec", &web, "--service", "web", "--", "/app", "env", "WHO"]).await;
    assert_eq!((named.status.code(), lossy(&named.stdout)), (Some(0), "blue\n".into()), "{named:?}");
    let named = stand.ask(&["run", &web, "--service", "web", "--", "env", "WHO"]).await;
    assert_eq!((named.status.code(), lossy(&named.stdout)), (Some(0), "blue\n".into()), "{named:?}");
    let refused = async |args: &[&str], code: i32, why: &str| {
        let output = stand.ask(args).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(lossy(&output.stderr).contains(why), "{args:?}: {output:?}");
    };
    let none = "has no service api: it has web";
    refused(&["exec", &web, "--service", "api", "--", "/app", "cat"], 3, none).await;
    refused(&["run", &web, "--service", "api", "--", "cat"], 3, none).await;
    refused(&["logs", &web, "--service", "api"], 3, none).await;
    refused(&["exec", &web, "--replica", "2", "--", "/app", "cat"], 3, "the first container of web").await;
    stand.apply("web", &lines(&stand, TWO, "green")).await;
    let several = "has several services (db, web)";
    refused(&["exec", &web, "--", "/app", "cat"], 4, several).await;
    refused(&["run", &web, "--", "cat"], 4, several).await;
    refused(&["logs", &web, "-f", "--service", "api"], 3, "has no service api: it has db, web").await;
    assert_eq!(stand.of_kind("ErrandBegun").await.len(), 2, "what is refused is not begun");
    stand.must(&["stop", &web]).await;
    refused(&["run", &web, "--service", "web", "--", "cat"], 4, "it was stopped by").await;
    // One that is no stack has none.
    stand.apply("plain", &stand.web("blue").replace("host = \"web.", "host = \"plain.")).await;
    let plain = format!("{}/plain", stand.project);
    refused(&["run", &plain, "--service", "web", "--", "cat"], 3, "is no stack").await;
    stand.must(&["teardown", &plain]).await;
    gone(stand).await;
}

async fn followed(program: &str) {
    let Some(mut stand) = begin(program).await else { return };
    stand.apply("web", &lines(&stand, TWO, "blue")).await;
    stand.get("/one").await;
    let mut reader = Reader::begin(&stand, &["-f"]).await_ready().await;
    reader.until("db.1 | err: the data").await;
    assert_eq!(reader.until("asked /one").await, "web.1 | asked /one");
    let mut of_web = Reader::begin(&stand, &["-f", "--service", "web"]).await_ready().await;
    assert_eq!(of_web.until("asked /one").await, "asked /one", "one container needs no name before its lines");

    // One service is made anew, the other one goes on.
    stand.apply("web", &lines(&stand, TWO, "green")).await;
    for reader in [&mut reader, &mut of_web] {
        reader.until("serves from here on ---").await;
        reader.until("err: green").await;
    }
    stand.get("/two").await;
    reader.until("asked /two").await;
    of_web.until("asked /two").await;

    stand.kill().await;
    stand.get("/while-away").await;
    stand.start().await;
    reader.until("web.1 | asked /while-away").await;

    stand.must(&["stop", &name(&stand)]).await;
    reader.until("nothing serves from here on").await;
    stand.must(&["start", &name(&stand)]).await;
    reader.until("serves from here on ---").await;
    while reader.count("err: green") < 2 || reader.count("err: the data") < 2 {
        reader.until("err: ").await;
    }
    stand.must(&["teardown", &name(&stand), "--yes"]).await;
    assert!(timeout(PATIENCE, reader.child.wait()).await.unwrap().unwrap().success());
    // Each of the two has begun twice: at first, and after the stop.
    for (text, count) in
        [("/one", 1), ("/two", 1), ("/while-away", 1), ("err: blue", 1), ("err: green", 2), ("err: the data", 2)]
    {
        assert_eq!(reader.count(text), count, "{text}: {:#?}", reader.all);
    }
    assert_eq!(of_web.count("err: the data"), 0, "{:#?}", of_web.all);
    gone(stand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_print_is_followed_with_the_first_generation() {
    followed(PACKAGED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_print_is_followed_with_the_second_generation() {
    followed(SECOND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_have_printed_is_told_by_service_and_without_secrets() {
    let Some(stand) = begin(SECOND).await else { return };
    let once = "  once: { image: IMAGE, environment: { WHO: \"done, with ${TOKEN}\", EXIT: \"0\" } }\n";
    let token = stand.folder().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    stand.must(&["secret", "set", &format!("{}/token", stand.project), "--file", &token.to_string_lossy()]).await;
    stand.apply("web", &lines(&stand, &format!("{TWO}{once}"), "blue")).await;
    let web = name(&stand);
    let all = stand.must(&["logs", &web]).await;
    for shown in
        ["(service db)", "err: the data", "(service web)", "err: blue", "(service once)", "done, with [secret]"]
    {
        assert!(all.contains(shown), "{shown}: {all}");
    }
    assert!(!all.contains(TOKEN), "{all}");
    let headed = stand.must(&["logs", &web, "--since", "1h"]).await;
    for from in ["db.1 | err: the data", "web.1 | err: blue", "once.1 | err: done, with [secret]"] {
        assert!(headed.contains(from), "{from}: {headed}");
    }
    let last = stand.must(&["logs", &web, "--service", "once", "--tail", "1"]).await;
    assert_eq!(last.lines().count(), 2, "{last}");
    let json = stand.must(&["logs", &web, "--service", "db", "--json"]).await;
    let line: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((line["process"].as_str(), line["replica"].as_u64()), (Some("db"), Some(1)), "{line}");
    assert!(line["container"].as_str().unwrap().contains("db"), "{line}");
    gone(stand).await;
}
