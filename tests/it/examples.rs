//! The files of `examples/` and of `docs/sources.md`, deployed as they are written by the real program on real Docker. Only
//! what a test machine cannot have is put in place: names of projects, images, repositories of forges, ports of the host.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml_edit::DocumentMut;

use crate::intake_support::sign;
use crate::stand::{Stand, text};
use crate::stand_in::{Place, StandIns, workloads};

/// What is made with an image that cannot be had here: recorded and not deployed. The tests of `sites` deploy the like of it,
/// with images of our own.
const RECORDED: &[&str] = &["static-deno.toml", "static-blue-green.toml"];

fn root(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// An engine, and what stands in for the rest of the world.
struct World {
    stand: Stand,
    others: StandIns,
    hook: Value,
}

/// What was put into its place in one file.
struct Put {
    project: String,
    file: String,
    document: DocumentMut,
}

impl World {
    async fn begin() -> Self {
        let stand = Stand::begin_with("git = \"plain\"\nbind = [\"FOLDER\"]").await;
        let others = StandIns::begin(&stand.project, stand.folder()).await;
        let hook = stand.must(&["hook", "add", "github", "--json"]).await;
        Self { stand, others, hook: serde_json::from_str(&hook).unwrap() }
    }

    fn src(&self) -> PathBuf {
        self.stand.folder().join("src")
    }

    /// Writes a workload file into a folder of sources, with what stands in; repositories have what it looks for.
    fn put(&self, folder: &Path, name: &str, said: &str) -> Put {
        let project = format!("{}-{}", self.stand.project, name.trim_end_matches(".toml"));
        let mut document: DocumentMut = said.parse().unwrap();
        for (kind, place) in self.others.file(&mut document, &project) {
            let files = self.files(kind, &place, said);
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            self.others.repository(&place.repository, &files);
        }
        let file = folder.join(name);
        std::fs::write(&file, document.to_string()).unwrap();
        Put { project, file: file.display().to_string(), document }
    }

    /// What a place in git holds for a source of this kind.
    fn files(&self, kind: &str, place: &Place, said: &str) -> Vec<(String, String)> {
        let example = |name: &str| std::fs::read_to_string(root("examples").join(name)).unwrap();
        if kind == "static" {
            return vec![(place.at("index.html"), example("site/index.html"))];
        }
        // With a stage of the name that is asked for, in the file that is asked for.
        let word = |key: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix("= \""));
            line.and_then(|line| line.split('"').next()).map(str::to_owned)
        };
        let stage = word("target").map(|stage| format!(" AS {stage}")).unwrap_or_default();
        let dockerfile = self.others.text(&example("api/Dockerfile"));
        let (from, rest) = dockerfile.split_once('\n').unwrap();
        let file = word("file").unwrap_or_else(|| "Dockerfile".to_owned());
        vec![(place.at(&file), format!("{from}{stage}\n{rest}"))]
    }

    /// Applies it; what it waits for comes by a push to each repository that its workloads listen to. Then all of it runs.
    async fn deploys(&self, put: &mut Put) {
        self.stand.must(&["apply", &put.file]).await;
        self.pushed(put).await;
        self.runs(put).await;
        // Nothing new is found where nothing is new: what was deployed is what is written.
        let again = self.stand.must(&["apply", &put.file]).await;
        assert!(again.contains("nothing new"), "{}: {again}", put.file);
    }

    async fn pushed(&self, put: &mut Put) {
        let mut heard = BTreeSet::new();
        let mut images = Vec::new();
        for (name, workload) in workloads(&mut put.document) {
            let Some(rest) = workload.get("deploy").and_then(|item| item.as_str()) else { continue };
            let (repository, branch) = rest.strip_prefix("github:").and_then(|rest| rest.split_once('@')).unwrap();
            heard.insert((repository.to_owned(), branch.to_owned(), name.clone()));
            images.extend(workload.get("image").and_then(|item| item.as_str()).map(str::to_owned));
        }
        let repositories: BTreeSet<_> = heard.iter().map(|(repository, branch, _)| (repository, branch)).collect();
        for (repository, branch) in repositories {
            let sha = self.others.repository(repository, &[("changed", put.project.as_str())]);
            images.iter().for_each(|image| self.others.publish(image, &sha));
            self.push(&put.project, repository, branch, &sha).await;
        }
        for (_, _, name) in heard {
            self.succeeds(&format!("{}/{name}", put.project)).await;
        }
    }

    /// Sends the delivery of a push, as GitHub does.
    async fn push(&self, id: &str, repository: &str, branch: &str, sha: &str) {
        let name = repository.rsplit('/').next().unwrap();
        let body = serde_json::json!({
            "ref": format!("refs/heads/{branch}"),
            "before": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
            "after": sha, "created": false, "deleted": false, "forced": false,
            "repository": {"id": 1, "name": name, "full_name": repository, "default_branch": branch, "private": true},
            "head_commit": {"id": sha, "message": "change"},
            "commits": [{"id": sha, "message": "change", "added": [], "removed": [], "modified": ["changed"]}],
        })
        .to_string();
        let mut call = format!("POST {} HTTP/1.1\r\nHost: hooks.test\r\n", self.hook["hook"]["path"].as_str().unwrap());
        for (header, value) in [
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("x-github-delivery", id),
            ("x-hub-signature-256", &sign(self.hook["secret"].as_str().unwrap(), body.as_bytes())),
            ("content-length", &body.len().to_string()),
            ("connection", "close"),
        ] {
            write!(call, "{header}: {value}\r\n").unwrap();
        }
        let answer = self.stand.call(&format!("{call}\r\n{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    /// Waits for the end of the deployment that a delivery has asked for.
    async fn succeeds(&self, workload: &str) {
        self.stand
            .until(&format!("the push deploys {workload}"), async |stand| {
                let events = stand.events().await;
                let of = |kind: &str| {
                    let found = events.iter().filter(|e| e["event"] == kind && e["workload"] == workload);
                    found.cloned().collect::<Vec<_>>()
                };
                let wished =
                    of("IntentQueued").into_iter().find(|e| e["cause"].as_str().unwrap().starts_with("delivery"));
                let Some(id) = wished.and_then(|event| text(&event, "deployment_id")) else { return false };
                let same = |event: &Value| text(event, "deployment_id").as_deref() == Some(id.as_str());
                assert!(!of("DeploymentFailed").iter().any(same), "{:?}", of("DeploymentFailed"));
                of("DeploymentSucceeded").iter().any(same)
            })
            .await;
    }

    /// Every workload of the file runs, and every route of it answers.
    async fn runs(&self, put: &mut Put) {
        for (name, workload) in workloads(&mut put.document) {
            let full = format!("{}/{name}", put.project);
            let path = workload.get("health").and_then(|item| item.as_str()).filter(|path| path.starts_with('/'));
            let path = path.unwrap_or("/").to_owned();
            let status = self.stand.must(&["status", &full, "--json"]).await;
            let status: Value = serde_json::from_str(&status).unwrap();
            let status = &status["workloads"][0];
            assert_eq!(status["state"], "running", "{status}");
            for route in status["routes"].as_array().unwrap() {
                let host = route.as_str().unwrap().split('/').next().unwrap();
                let answer = self.stand.get_of(host, &path).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{full} at {host}{path}: {answer}");
            }
        }
    }

    async fn is_recorded(&self, put: &Put) {
        let said = self.stand.must(&["apply", "--no-deploy", &put.file]).await;
        assert!(said.contains("recorded; deploy it when you want it"), "{}: {said}", put.file);
    }

    async fn removed(&self, put: &mut Put) {
        for (name, _) in workloads(&mut put.document) {
            let full = format!("{}/{name}", put.project);
            self.stand.must(&["teardown", &full, "--volumes", "--yes"]).await;
        }
    }

    async fn end(self) {
        drop(self.others);
        self.stand.end(&[]).await;
    }
}

/// A folder with everything that lies in another one, with our images.
fn copied(world: &World, from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copied(world, &path, &there);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let named = there.extension().is_none_or(|ending| ending == "yml");
            std::fs::write(&there, if named { world.others.text(&text) } else { text }).unwrap();
        }
    }
}

/// Every `of`-th file of `examples/`, from number `part` on, one after the other with the same engine.
async fn part(part: usize, of: usize) {
    let world = World::begin().await;
    let examples = world.src().join("examples");
    copied(&world, &root("examples"), &examples);
    let all = std::fs::read_dir(root("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    assert!(RECORDED.iter().all(|name| files.iter().any(|path| path.ends_with(name))), "{RECORDED:?}");
    for path in files.iter().skip(part).step_by(of) {
        let name = path.file_name().unwrap().to_str().unwrap();
        eprintln!("{name}");
        let mut put = world.put(&examples, name, &std::fs::read_to_string(path).unwrap());
        if RECORDED.contains(&name) {
            world.is_recorded(&put).await;
            world.removed(&mut put).await;
            continue;
        }
        world.deploys(&mut put).await;
        world.removed(&mut put).await;
    }
    world.end().await;
}

#[tokio::test]
async fn each_example_is_deployed_1_of_2() {
    part(0, 2).await;
}

#[tokio::test]
async fn each_example_is_deployed_2_of_2() {
    part(1, 2).await;
}

/// The blocks of a page of this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root("docs").join(page)).unwrap();
    let begin = format!("```{language}\n");
    let parts = text.split(&begin).skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

/// What a person has who has nothing of Cutover: a stack, a Dockerfile in git, and a folder of HTML.
#[tokio::test]
async fn three_files_of_twelve_lines_serve_who_has_a_stack_a_dockerfile_and_a_folder() {
    let files = blocks("sources.md", "toml");
    assert_eq!(files.len(), 3);
    let world = World::begin().await;
    let stack = "services:\n  web:\n    image: nginx\n    stop_grace_period: 1s\n  db:\n    image: postgres:17\n    stop_grace_period: 1s\n    volumes: [data:/var/lib/postgresql/data]\nvolumes:\n  data:\n";
    std::fs::write(world.src().join("docker-compose.yml"), world.others.text(stack)).unwrap();
    std::fs::create_dir(world.src().join("site")).unwrap();
    std::fs::write(world.src().join("site/index.html"), "<!doctype html>\n<title>Ours</title>\n").unwrap();
    let mut served = BTreeSet::new();
    for (number, said) in files.iter().enumerate() {
        assert!(said.trim().lines().count() <= 12, "{said}");
        let mut put = world.put(&world.src(), &format!("file-{number}.toml"), said);
        world.deploys(&mut put).await;
        served.extend(workloads(&mut put.document).into_iter().flat_map(|(_, workload)| {
            ["compose", "dockerfile", "static"]
                .into_iter()
                .filter(|kind| workload.contains_key(kind))
                .collect::<Vec<_>>()
        }));
        world.removed(&mut put).await;
    }
    assert_eq!(served.into_iter().collect::<Vec<_>>(), ["compose", "dockerfile", "static"]);
    world.end().await;
}
