//! No room, and a process that is killed while it appends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use cutover::store::{AppendError, Log, verify};

use super::log_support::{append, open};

/// Names the folder to the child that is killed.
const FOLDER: &str = "CUTOVER_TEST_FOLDER";

/// A small file system of its own, unmounted at the end.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path()));
        Self(dir)
    }

    fn resize(&self, size: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(self.0.path()));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run(Command::new("umount").arg(self.0.path()));
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} ended with {status}; this test needs root, to mount a small tmpfs");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_appends_are_refused_and_go_on_by_themselves() {
    let small = Small::mount("12m");
    let dir = small.0.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    let (store, _, _) = open(&dir).await.unwrap();
    let text = "x".repeat(20_000);
    let mut last = 0;
    let refused = loop {
        match store.append(append(&text)).await {
            Ok(receipt) => last = receipt.position,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::NoRoom), "{refused}");
    assert!(last > 50, "only {last} fitted in");
    assert_eq!(store.head().position, last);
    assert_eq!(store.read_all(last, 9).await.unwrap().len(), 1, "it can be read meanwhile");
    small.resize("64m");
    let next = until_taken(&store).await;
    assert_eq!(next, last + 1, "nothing that was refused was written");
    drop(store);
    let (store, report, folded) = open(&dir).await.unwrap();
    assert_eq!((report.events, report.torn), (next, None));
    assert_eq!(folded.len() as u64, next);
    drop(store);
    assert_eq!(verify(&dir).unwrap().head.position, next);
}

/// Appends until it is taken; answers with its position.
async fn until_taken(store: &impl Log) -> u64 {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        match store.append(append("when there is room")).await {
            Ok(receipt) => return receipt.position,
            Err(AppendError::NoRoom) => assert!(tokio::time::Instant::now() < deadline, "it does not go on"),
            Err(other) => panic!("{other}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Is the child of the test below, which names the folder and kills it; alone it has nothing to append to.
#[tokio::test]
async fn child_that_appends_for_ever() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let (store, _, _) = open(Path::new(&dir)).await.unwrap();
    for number in 0_u64.. {
        let receipt = store.append(append(&number.to_string())).await.unwrap();
        println!("acknowledged {} {}", receipt.position, receipt.chain);
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_kill_nine() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log_limits::child_that_appends_for_ever", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = lines.by_ref().map(|line| line.unwrap()).filter(|line| line.contains("acknowledged "));
        let mut last = acknowledged.take(5 + round * 7).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        last = lines.map_while(Result::ok).filter(|line| line.contains("acknowledged ")).last().unwrap_or(last);
        let words: Vec<&str> = last.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "acknowledged").unwrap();
        let (Some(position), Some(chain)) = (words.get(at + 1), words.get(at + 2)) else { continue };
        let (store, report, _) = open(dir.path()).await.unwrap();
        let position: u64 = position.parse().unwrap();
        assert!(report.events >= position, "round {round}: {position} was acknowledged, {} are there", report.events);
        if chain.len() == 64 {
            assert_eq!(store.chain_at(position).await.unwrap().unwrap().to_string(), **chain, "round {round}");
        }
    }
}
