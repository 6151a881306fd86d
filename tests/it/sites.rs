//! Sites through the whole program on real Docker: files that a command makes, and programs on Deno.

use std::path::Path;
use std::process::Command;

use crate::docker;
use crate::stacks::{SECOND, Stand, docker_said};

/// Where `scripts/docker` puts Deno.
const DENO: &str = "/usr/local/lib/cutover/deno";
const PROGRAM: &str = "let calls = 0;\nDeno.serve({ port: 8000 }, () => { calls += 1; try { Deno.writeTextFileSync(\"/data/calls\", `${calls}`); } catch { calls = -1; } return new Response(`PAGE ${Deno.env.get(\"WHO\")} ${calls}`); });\n";

/// The program that build steps run as an image, one for each of these tests; gives its reference.
async fn shell_image(test: &str) -> String {
    let reference = format!("cutover-test/shell:{test}");
    docker::import(&docker::client().await, &reference, docker::tar_of("shell", &docker::shell())).await;
    reference
}

fn page(stand: &Stand, text: &str) {
    let folder = stand.folder.path().join("src/site");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("index.html"), text).unwrap();
}

/// Writes a workload file whose site is made by this command.
fn declare(stand: &Stand, image: &str, (command, output): (&str, &str)) {
    let text = format!(
        "[workloads.site]\nhost = \"site.test\"\nenv = {{ WHO = \"${{secret:token}}\" }}\n\
         static = {{ path = \"site\", build = {{ image = \"{image}\", command = {command}, output = \"{output}\" }} }}\n"
    );
    std::fs::write(stand.folder.path().join("src/site.toml"), text).unwrap();
}

const MAKES: (&str, &str) = ("[\"/shell\", \"site\", \"out\"]", "out");

#[tokio::test]
async fn a_command_makes_the_files_of_a_site() {
    let Some(stand) = Stand::begin("site command", SECOND).await else { return };
    let image = shell_image("command").await;
    std::fs::write(stand.folder.path().join("src/token"), "hunter22hunter22").unwrap();
    stand.must(&["secret", "set", "token", "--file", "token"], 0);
    page(&stand, "one");
    declare(&stand, &image, MAKES);
    stand.must(&["apply", "site.toml"], 0);
    assert_eq!(stand.answer_of("site.test"), "200 one");
    // Neither its files nor its settings have changed.
    stand.must(&["deploy", "site"], 0);
    let log = stand.must(&["logs", "site", "--build"], 0);
    assert!(log.contains("nothing has changed since the build of site:"), "{log}");
    page(&stand, "two");
    stand.must(&["deploy", "site"], 0);
    assert_eq!(stand.answer_of("site.test"), "200 two");
    declare(&stand, &image, ("[\"/shell\", \"exit\", \"3\"]", "out"));
    let failed = stand.must(&["apply", "site.toml"], 10);
    assert!(failed.contains("exit code: 3; it said: going to fail"), "{failed}");
    assert_eq!(stand.answer_of("site.test"), "200 two");
    declare(&stand, &image, ("[\"/shell\", \"arg\", \"WHO\"]", "."));
    stand.must(&["apply", "site.toml"], 0);
    let log = stand.must(&["logs", "site", "--build"], 0);
    assert!(log.contains("WHO is [secret]") && !log.contains("hunter22"), "{log}");
    declare(&stand, "localhost:1/none:1", MAKES);
    let refused = stand.must(&["apply", "site.toml"], 10);
    assert!(refused.contains("localhost:1"), "{refused}");
    assert_eq!(stand.answer_of("site.test"), "200 two");
    stand.must(&["teardown", "site", "--yes"], 0);
}

#[tokio::test]
async fn a_command_is_begun_again_after_a_crash_and_ended_when_it_is_superseded() {
    let Some(mut stand) = Stand::begin("site crash", SECOND).await else { return };
    let image = shell_image("crash").await;
    std::fs::write(stand.folder.path().join("src/token"), "hunter22hunter22").unwrap();
    stand.must(&["secret", "set", "token", "--file", "token"], 0);
    let mark = stand.folder.path().file_name().unwrap().to_string_lossy().into_owned();
    let containers = || docker_said(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}}"]);
    let own = || containers().into_iter().filter(|line| line.contains(&mark)).collect::<Vec<_>>();
    page(&stand, "one");
    declare(&stand, &image, (&format!("[\"/shell\", \"hang\", \"{mark}\"]"), "out"));
    stand.must(&["apply", "site.toml", "--detach"], 0);
    let hangs =
        |stand: &Stand| String::from_utf8_lossy(&stand.run(&["logs", "site", "--build"]).stdout).contains("hanging");
    stand.until("it hangs", hangs);
    let before = own();
    assert_eq!(before.len(), 1, "{before:?}");
    stand.kill();
    stand.start();
    stand.until("it is begun again, and what was left is gone", |_| own().len() == 1 && own() != before);
    declare(&stand, &image, MAKES);
    stand.must(&["apply", "site.toml"], 0);
    assert_eq!(stand.answer_of("site.test"), "200 one");
    stand.until("nothing of it is left", |_| own().is_empty());
    stand.must(&["teardown", "site", "--yes"], 0);
}

/// An image of nothing but Deno and what it is linked with; gives its reference.
fn deno_image() -> Option<String> {
    if !Path::new(DENO).exists() {
        eprintln!("NOT TESTED: there is no {DENO}; run scripts/docker");
        return None;
    }
    let reference = "cutover-test/deno:1";
    let linked = Command::new("ldd").arg(DENO).output().unwrap();
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    let paths = linked.split_whitespace().filter(|word| word.starts_with('/'));
    let root = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        let to = root.path().join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    paths.for_each(|path| copy(path, path));
    copy(DENO, "bin/deno");
    std::fs::create_dir(root.path().join("tmp")).unwrap();
    let archive = root.path().with_extension("tar");
    let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(root.path()).arg(".").status().unwrap();
    assert!(packed.success());
    docker_said(&["import", "-c", "ENV PATH=/bin HOME=/tmp", &archive.to_string_lossy(), reference]);
    std::fs::remove_file(archive).unwrap();
    Some(reference.to_owned())
}

/// Removes what a test that failed has left of a project.
struct Swept(String);

impl Drop for Swept {
    fn drop(&mut self) {
        let filter = format!("label=io.cutover.name={}/board", self.0);
        for id in docker_said(&["ps", "-aq", "--filter", &filter]) {
            docker_said(&["rm", "-f", "-v", &id]);
        }
        for id in docker_said(&["network", "ls", "-q", "--filter", &format!("label=io.cutover.project={}", self.0)]) {
            docker_said(&["network", "rm", &id]);
        }
    }
}

#[tokio::test]
async fn a_program_of_a_site_runs_on_deno() {
    let (Some(stand), Some(image)) = (Stand::begin("site deno", SECOND).await, deno_image()) else { return };
    let project = format!("deno{}", std::process::id());
    let _swept = Swept(project.clone());
    let board = stand.folder.path().join("src/board");
    std::fs::create_dir_all(&board).unwrap();
    let write = |page: &str, more: &str, who: &str| {
        std::fs::write(board.join("main.ts"), PROGRAM.replace("PAGE", page)).unwrap();
        let text = format!(
            "project = \"{project}\"\n[workloads.board]\nhost = \"board.test\"\nport = 8000\nhealth = \"/\"\n\
             env = {{ WHO = \"{who}\" }}\nstatic = {{ path = \"board\", mode = \"deno\", image = \"{image}\"{more} }}\n\
             [workloads.board.policy]\nliveness = \"200ms\"\ndrain = \"1s\"\n"
        );
        std::fs::write(stand.folder.path().join("src/board.toml"), text).unwrap();
    };
    write("one", ", deploy_strategy = \"blue-green\"", "anna");
    stand.must(&["apply", "board.toml"], 0);
    // It may write nowhere.
    let answer = stand.answer_of("board.test");
    assert_eq!(answer, "200 one anna -1");
    write("two", ", deploy_strategy = \"blue-green\"", "anna");
    stand.must(&["apply", "board.toml"], 0);
    stand.must(&["deploy", &format!("{project}/board")], 0);
    assert_eq!(stand.answer_of("board.test"), "200 two anna -1");
    write("three", ", storage = \"board-data:/data\"", "bert");
    let plan = stand.must(&["apply", "board.toml"], 0);
    let answer = stand.answer_of("board.test");
    assert!(answer.starts_with("200 three bert") && !answer.ends_with("-1"), "{answer}\n{plan}");
    std::fs::remove_file(board.join("main.ts")).unwrap();
    let failed = stand.must(&["deploy", &format!("{project}/board")], 10);
    assert!(failed.contains("main.ts") && failed.contains("server.js"), "{failed}");
    stand.must(&["teardown", &format!("{project}/board"), "--yes"], 0);
}
