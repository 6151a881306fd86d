//! Programs that people run in containers.

use cutover::adapters::runtime::{
    Alone, Attached, Like, Printed, Program, Push, Reading, Running, RuntimeError, Size, Until,
};
use cutover::clock::Clock;
use cutover_domain::observed::DockerId;
use cutover_events::ErrandId;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::harness::PATIENCE;
use super::{Behaviour, Harness};

fn program(words: &[&str]) -> Program {
    let command = ["/app"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    Program { command, terminal: None }
}

/// Everything that a program prints, output and errors apart.
async fn printed(attached: &mut Attached) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let read = async {
        while let Some(piece) = attached.output.next().await {
            match piece.expect("what it prints") {
                Printed::Out(bytes) => out.extend(bytes),
                Printed::Err(bytes) => err.extend(bytes),
            }
        }
    };
    timeout(PATIENCE, read).await.expect("an end");
    (String::from_utf8(out).expect("a text"), String::from_utf8(err).expect("a text"))
}

async fn running(harness: &Harness) -> DockerId {
    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    id
}

pub(crate) async fn a_program_prints_apart_and_its_code_is_seen(harness: &Harness) {
    let id = running(harness).await;
    let mut said = harness.attaches.exec(id, &program(&["say", "one", "two", "7"])).await.expect("a program");
    assert_eq!(printed(&mut said).await, ("one".to_owned(), "two".to_owned()));
    assert_eq!(harness.attaches.exit_code(&said.running).await, Ok(7));
}

pub(crate) async fn a_program_reads_until_its_input_ends(harness: &Harness) {
    let id = running(harness).await;
    let mut cat = harness.attaches.exec(id, &program(&["cat"])).await.expect("a program");
    cat.input.write_all(b"what is typed").await.expect("an input");
    cat.input.shutdown().await.expect("its end");
    assert_eq!(printed(&mut cat).await.0, "what is typed");
    assert_eq!(harness.attaches.exit_code(&cat.running).await, Ok(0));
}

pub(crate) async fn a_program_that_nobody_is_at_ends_when_it_is_told_to(harness: &Harness) {
    let id = running(harness).await;
    let mut hangs = harness.attaches.exec(id, &program(&["hang"])).await.expect("a program");
    harness.attaches.push(&hangs.running, Push::HangUp).await.expect("a signal");
    printed(&mut hangs).await;
    assert_eq!(harness.attaches.exit_code(&hangs.running).await, Ok(129));
    harness.attaches.push(&hangs.running, Push::Kill).await.expect("a signal to what has ended");
}

pub(crate) async fn a_program_has_a_terminal_of_the_size_that_was_said(harness: &Harness) {
    let id = running(harness).await;
    let terminal = Some(Size { columns: 100, rows: 40 });
    let mut sizes = harness.attaches.exec(id, &Program { terminal, ..program(&["sizes"]) }).await.expect("a program");
    // What it has printed at its start may be from before it had a size; the twin has ended by now and reads nothing.
    sizes.input.write_all(b"\r").await.unwrap_or_default();
    let mut shown = String::new();
    while !shown.contains("100 40") {
        let piece = timeout(PATIENCE, sizes.output.next()).await.expect("a piece").expect("more");
        if let Printed::Out(bytes) = piece.expect("what it prints") {
            shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    harness.attaches.push(&sizes.running, Push::Kill).await.expect("a signal");
}

pub(crate) async fn a_program_needs_a_container_that_runs(harness: &Harness) {
    let (_, id) = harness.created().await;
    let refused = harness.attaches.exec(id, &program(&["cat"])).await.err();
    assert!(matches!(refused, Some(RuntimeError::Refused(_))), "{refused:?}");
    let unknown = harness.attaches.exec(DockerId([7; 32]), &program(&["cat"])).await.err();
    assert!(matches!(unknown, Some(RuntimeError::NotFound(_))), "{unknown:?}");
}

pub(crate) async fn a_container_of_its_own_is_in_no_listing_of_units(harness: &Harness) {
    let errand = ErrandId::from_ulid(Clock::system().ulid());
    let mut container = harness.container(Behaviour::Serves);
    container.command = Some(["say", "alone", "", "3"].map(str::to_owned).to_vec());
    let alone = Alone { errand, container, terminal: false };
    let id = harness.attaches.create_alone(harness.log, &alone).await.expect("a container");
    assert_eq!(harness.runtime.list(harness.log, None).await, Ok(Vec::new()));
    assert_eq!(harness.attaches.alone(harness.log).await, Ok(vec![(id, errand)]));
    let mut said = harness.attaches.start_alone(id, None).await.expect("a start");
    assert_eq!(printed(&mut said).await.0, "alone");
    assert_eq!(harness.attaches.exit_code(&Running::Alone(id)).await, Ok(3));
    harness.attaches.remove_alone(id).await.expect("a removal");
    harness.attaches.remove_alone(id).await.expect("the same removal again");
    assert_eq!(harness.attaches.alone(harness.log).await, Ok(Vec::new()));
}

pub(crate) async fn a_container_of_its_own_may_be_made_like_another(harness: &Harness) {
    let (like, id) = harness.created().await;
    let errand = ErrandId::from_ulid(Clock::system().ulid());
    let mut container = harness.container(Behaviour::Serves);
    // Of these none counts.
    (container.image, container.network, container.env) = ("stack:a/b".to_owned(), String::new(), Vec::new());
    container.command = Some(["say", "alike", "", "3"].map(str::to_owned).to_vec());
    let alone = Alone { errand, container, terminal: false };
    let beside = Like { container: id, labels: [("io.cutover-test.a".to_owned(), "b".to_owned())].into() };
    let made = harness.attaches.create_alone_like(harness.log, &alone, &beside).await.expect("a container");
    assert_eq!(harness.made_of(errand, made).await, (like.image, "contract".to_owned()));
    assert_eq!(harness.attaches.alone(harness.log).await, Ok(vec![(made, errand)]));
    assert_eq!(harness.runtime.list(harness.log, None).await.map(|all| all.len()), Ok(1), "it is no unit");
    let mut said = harness.attaches.start_alone(made, None).await.expect("a start");
    assert_eq!(printed(&mut said).await.0, "alike");
    assert_eq!(harness.attaches.exit_code(&Running::Alone(made)).await, Ok(3));
    harness.attaches.remove_alone(made).await.expect("a removal");
    let nobody = Like { container: DockerId([7; 32]), labels: [].into() };
    let unknown = harness.attaches.create_alone_like(harness.log, &alone, &nobody).await;
    assert!(matches!(unknown, Err(RuntimeError::NotFound(_))), "{unknown:?}");
    assert_eq!(harness.attaches.alone(harness.log).await, Ok(Vec::new()));
}

pub(crate) async fn what_a_container_has_printed_is_read_line_by_line(harness: &Harness) {
    let id = running(harness).await;
    harness.runtime.stop(id, std::time::Duration::from_secs(1)).await.expect("a stop");
    let text = harness.runtime.output(id, 64 * 1024).await.expect("an output");
    let read = async |tail| {
        let reading = Reading { since_s: 0, tail, until: Until::Now };
        let lines = harness.attaches.read(id, reading).await.expect("lines");
        lines.map(|line| line.expect("a line").text).collect::<Vec<_>>().await
    };
    let (mut all, mut whole) = (read(None).await, text.lines().map(str::to_owned).collect::<Vec<_>>());
    // Docker keeps the order of each pipe only.
    all.sort();
    whole.sort();
    assert_eq!(all, whole);
    assert_eq!(read(Some(1)).await.len(), whole.len().min(1));
}
