//! What containers print, followed through the command line on the machine's Docker: across a swap, a restart of the engine,
//! a stop and the end.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::stand::{PATIENCE, Stand, lossy};

/// A client that follows.
pub(crate) struct Reader {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) all: Vec<String>,
}

impl Reader {
    pub(crate) fn begin(stand: &Stand, args: &[&str]) -> Self {
        let name = format!("{}/web", stand.project);
        let mut command = stand.command(&[&["logs", &name], args].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, all: Vec::new() }
    }

    /// Reads until a line holds this text, which must come.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{text} does not come: {:#?}", self.all)).unwrap();
            let line = line.unwrap_or_else(|| panic!("it ends before {text}: {:#?}", self.all));
            self.all.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.all.iter().filter(|line| line.contains(text)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_is_followed_from_blue_to_green_and_over_a_restart_to_its_end() {
    let mut stand = Stand::begin().await;
    stand.apply("web", &stand.web("blue")).await;
    stand.get("/one").await;
    let mut reader = Reader::begin(&stand, &["-f"]).await_ready().await;
    let blue = reader.all[0].clone();
    assert!(blue.starts_with("--- rel_") && blue.ends_with("serves from here on ---"), "{blue}");
    reader.until("asked /one").await;
    stand.get("/two").await;
    assert_eq!(reader.until("asked /two").await, "asked /two", "one container needs no name before its lines");

    stand.apply("web", &stand.web("green")).await;
    let green = reader.until("serves from here on").await;
    assert_ne!(green, blue);
    reader.until("err: green").await;
    stand.get("/three").await;
    reader.until("asked /three").await;

    stand.kill().await;
    stand.get("/while-away").await;
    stand.start().await;
    reader.until("asked /while-away").await;
    stand.get("/four").await;
    reader.until("asked /four").await;

    let name = format!("{}/web", stand.project);
    stand.must(&["stop", &name]).await;
    assert!(reader.until("nothing serves from here on").await.contains("stopped by"));
    stand.must(&["start", &name]).await;
    reader.until("serves from here on").await;
    stand.must(&["teardown", &name]).await;
    let status = timeout(PATIENCE, reader.child.wait()).await.unwrap().unwrap();
    assert!(status.success());
    for text in ["/one", "/two", "/three", "/while-away", "/four", "err: blue"] {
        assert_eq!(reader.count(text), 1, "{text}: {:#?}", reader.all);
    }
    stand.end(&[]).await;
}

impl Reader {
    /// Once its first line has come.
    pub(crate) async fn await_ready(mut self) -> Self {
        self.until("serves from here on").await;
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_output_is_what_was_asked_for() {
    let stand = Stand::begin().await;
    stand
        .apply(
            "web",
            &format!("{}replicas = 2\n[workloads.web.processes.worker]\ncommand = [\"hang\"]\n", stand.web("blue")),
        )
        .await;
    let name = format!("{}/web", stand.project);
    let all = stand.must(&["logs", &name, "--since", "1h"]).await;
    for from in ["web.1 | err: blue", "web.2 | err: blue", "worker.1 | hangs"] {
        assert!(all.contains(from), "{from}: {all}");
    }
    let one = stand.must(&["logs", &name, "--process", "worker"]).await;
    assert_eq!(one.lines().skip(1).collect::<Vec<_>>(), ["hangs"]);
    let last = stand.must(&["logs", &name, "--process", "web", "--replica", "2", "--tail", "1"]).await;
    assert_eq!(last.lines().count(), 2, "{last}");
    let json = stand.must(&["logs", &name, "--process", "worker", "--json"]).await;
    let line: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((line["kind"].as_str(), line["text"].as_str()), (Some("out"), Some("hangs")));
    for (args, code, why) in [
        (["--process", "nobody"], 3, "has no process nobody: it has web, worker"),
        (["--replica", "9"], 3, "has no replica 9"),
        (["--since", "yesterday"], 15, "is no time; expected how long ago"),
    ] {
        let refused = stand.ask(&[&["logs", &name, "-f"][..], &args].concat()).await;
        assert_eq!(refused.status.code(), Some(code), "{}", lossy(&refused.stderr));
        assert!(lossy(&refused.stderr).contains(why), "{}", lossy(&refused.stderr));
    }
    stand.end(&["web"]).await;
}
