//! Workload files.

use super::{Expected, Inputs};
use crate::Result;

/// Refused content.
const REFUSED: i32 = 15;
/// A claim is held.
const CONFLICT: i32 = 5;

/// What stands in a file that is right but for the case.
struct Parts<'a> {
    name: &'a str,
    image: &'a str,
    host: &'a str,
    port: &'a str,
    more: &'a str,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self {
            name: "other",
            image: "image = \"cutover-lab/sample:v1\"",
            host: "\"other.test\"",
            port: "8080",
            more: "",
        }
    }
}

impl Parts<'_> {
    fn file(&self, project: &str) -> String {
        let Self { name, image, host, port, more } = self;
        format!("project = \"{project}\"\n\n[workloads.{name}]\n{image}\nhost = {host}\nport = {port}\n{more}\n")
    }
}

/// A file that both `check` and `apply` refuse, and what they must say.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) file: Vec<u8>,
    pub(super) says: Vec<&'static str>,
}

pub(super) async fn try_all(inputs: &mut Inputs<'_>) -> Result {
    let stand = inputs.scene.stand;
    let mut cases = broken(&stand.project);
    cases.extend(names(&stand.project));
    cases.extend(values(&stand.project));
    cases.extend(of_the_host(&stand.project));
    cases.extend(of_the_project(&stand.project));
    cases.extend(super::sources::refused(&stand.project));
    for case in cases {
        let path = stand.folder().join("bad.toml");
        std::fs::write(&path, &case.file)?;
        let path = path.display().to_string();
        for command in ["check", "apply"] {
            let expected = Expected { codes: &[REFUSED], says: &case.says };
            inputs.command(&format!("{command} {}", case.name), &[command, &path], expected).await?;
        }
    }
    held_by_another(inputs).await?;
    after_others(inputs).await
}

/// What only the engine can tell: whom a workload comes after, and whether in a circle.
async fn after_others(inputs: &mut Inputs<'_>) -> Result {
    let stand = inputs.scene.stand;
    let file = |name, after| {
        let after = format!("after = [\"{after}\"]");
        Parts { name, host: "\"after.test\"", more: &after, ..Parts::default() }.file(&stand.project)
    };
    let nobody = stand.write("nobody.toml", &file("other", "nobody"))?;
    let other = stand.full_name("other");
    for command in ["plan", "apply"] {
        let what = format!("{command}, after a workload that does not exist");
        let expected = Expected { codes: &[REFUSED], says: &["nobody", "does not exist", &other] };
        inputs.command(&what, &[command, &nobody], expected).await?;
    }
    Ok(())
}

async fn held_by_another(inputs: &mut Inputs<'_>) -> Result {
    let stand = inputs.scene.stand;
    let host = format!("\"{}\"", stand.host("web"));
    let path = stand.write("held.toml", &Parts { host: &host, ..Parts::default() }.file(&stand.project))?;
    let web = stand.full_name("web");
    let expected = Expected { codes: &[CONFLICT], says: &[&stand.host("web"), &web] };
    inputs.command("apply, a host that another workload holds", &["apply", &path], expected).await
}

/// Files that are no workload file at all.
fn broken(project: &str) -> Vec<Case> {
    let good = Parts::default().file(project);
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8.extend_from_slice(b"# \xff\xfe\n");
    let cut = good.find("sample").unwrap_or(good.len() / 2);
    let case = |name, file: Vec<u8>, says: &[&'static str]| Case { name, file, says: says.to_vec() };
    vec![
        case("empty", Vec::new(), &["bad.toml"]),
        case("truncated", good.as_bytes()[..cut].to_vec(), &["bad.toml:4"]),
        case("not UTF-8", not_utf8, &["bad.toml", "utf-8"]),
        case("8 MB", vec![b'#'; 8_000_000], &["bad.toml", "1048576"]),
        case("binary", vec![0_u8; 4096], &["bad.toml"]),
        case("JSON", b"{\"project\": 1}".to_vec(), &["bad.toml"]),
        case("a list of workloads", b"workloads = [1, 2]\n".to_vec(), &["bad.toml", "workloads"]),
    ]
}

fn names(project: &str) -> Vec<Case> {
    let long: &'static str = "a-name-that-is-300-characters-long";
    let mut cases: Vec<Case> = [
        ("name ../etc", "\"../etc\""),
        ("name -rf", "\"-rf\""),
        ("name not ASCII", "\"w\u{e9}b\""),
        ("name empty", "\"\""),
        ("name with a space", "\"a b\""),
        ("name with a line break", "\"a\\nb\""),
    ]
    .into_iter()
    .map(|(case, name)| Case {
        name: case,
        file: Parts { name, ..Parts::default() }.file(project).into_bytes(),
        says: vec!["name"],
    })
    .collect();
    let name = format!("\"{}\"", "n".repeat(300));
    let file = Parts { name: &name, ..Parts::default() }.file(project).into_bytes();
    cases.push(Case { name: long, file, says: vec!["name"] });
    cases.push(Case { name: "project ../etc", file: Parts::default().file("../etc").into_bytes(), says: vec!["name"] });
    cases
}

fn values(project: &str) -> Vec<Case> {
    let case = |name, parts: Parts<'_>, says: &[&'static str]| Case {
        name,
        file: parts.file(project).into_bytes(),
        says: says.to_vec(),
    };
    let with = |name, more, says: &[&'static str]| case(name, Parts { more, ..Parts::default() }, says);
    let host = |name, host| case(name, Parts { host, ..Parts::default() }, &["host"]);
    let port = |name, port| case(name, Parts { port, ..Parts::default() }, &["port"]);
    let image = |name, image, says: &[&'static str]| case(name, Parts { image, ..Parts::default() }, says);
    let sources = ["image", "dockerfile", "static", "compose"];
    vec![
        with("unknown key near a known one", "helth = \"/healthz\"", &["helth", "health", "bad.toml"]),
        with("unknown key near none", "zzzzzz = 1", &["zzzzzz", "image", "host", "port", "bad.toml"]),
        image("no source", "", &sources),
        image("two sources", "image = \"a\"\ndockerfile = \".\"", &["dockerfile"]),
        image("image of a wrong type", "image = 5", &["image"]),
        image("image with spaces", "image = \"no such image\"", &["image"]),
        image("image like a flag", "image = \"--privileged\"", &["image"]),
        image("image empty", "image = \"\"", &["image"]),
        image("unknown key in the image", "image = { ref = \"a:1\", pul = \"always\" }", &["pul", "pull"]),
        image(
            "pull of another word",
            "image = { ref = \"a:1\", pull = \"sometimes\" }",
            &["missing", "always", "never"],
        ),
        image(
            "unknown strategy",
            "image = { ref = \"a:1\", deploy_strategy = \"rolling\" }",
            &["rolling", "recreate", "blue-green"],
        ),
        with("strategies that differ", "strategy = \"rolling\"", &["recreate", "blue-green"]),
        port("port 0", "0"),
        port("port 70000", "70000"),
        port("port -1", "-1"),
        port("port as text", "\"80\""),
        host("host with a space", "\"a b.test\""),
        host("host with CR LF", "\"a.test\\r\\nX-Evil: 1\""),
        host("host empty", "\"\""),
        host("host of a wrong type", "7"),
        host("host with a path", "\"a.test/x\""),
        host("host with a wildcard inside", "\"a.*.test\""),
        with("health without a slash", "health = \"healthz\"", &["health", "/"]),
        with("health with CR LF", "health = \"/a\\r\\nb\"", &["health"]),
        with("health of a wrong type", "health = 1", &["health"]),
        with("replicas -1", "replicas = -1", &["replicas"]),
        with("replicas 0", "replicas = 0", &["replicas"]),
        with("replicas 10^9", "replicas = 1000000000", &["replicas"]),
        with("env of a wrong type", "env = [1]", &["env"]),
        with("env name with =", "env = { \"A=B\" = \"1\" }", &["env"]),
        with("secret with a name that is none", "env = { A = \"${secret:a b}\" }", &["secret"]),
        with("release command for a shell", "release = \"migrate && seed\"", &["release", "shell", "sh"]),
        with("release command that is empty", "release = \"\"", &["release", "empty"]),
        with("release command for days", "release = { command = \"a\", timeout = \"2d\" }", &["timeout", "1d"]),
        with("memory that is no size", "memory = \"much\"", &["memory"]),
        with("hardening of another word", "hardening = \"medium\"", &["hardening", "strict"]),
        with("trigger that is none", "deploy = \"whenever\"", &["deploy"]),
        with(
            "trigger, paths of images",
            "deploy = { hook = \"h\", image = \"a/b\", paths = [\"a\"] }",
            &["paths", "branch"],
        ),
        with("trigger, paths out of the repository", &trigger_of("../a"), &["paths", "top of the repository"]),
        with("trigger, paths with stars beside a word", &trigger_of("a**"), &["paths", "whole folders"]),
        with("trigger, an empty path", &trigger_of("!"), &["paths", "characters"]),
        with("policy, unknown key", "[workloads.other.policy]\nbakee = \"1s\"", &["bakee", "bake"]),
        with("policy, no duration", "[workloads.other.policy]\nbake = \"soon\"", &["bake"]),
        with("policy, negative", "[workloads.other.policy]\ndrain = \"-1s\"", &["drain"]),
        with("a key twice", "port = 9090", &["duplicate", "bad.toml:7"]),
    ]
}

/// A rule by this path.
fn trigger_of(path: &str) -> String {
    format!("deploy = {{ hook = \"h\", branch = \"main\", paths = [\"{path}\"] }}")
}

/// Processes, and what comes after what, as far as the file alone can tell.
fn of_the_project(project: &str) -> Vec<Case> {
    let with = |name, more, says: &[&'static str]| Case {
        name,
        file: Parts { more, ..Parts::default() }.file(project).into_bytes(),
        says: says.to_vec(),
    };
    let circle = "after = [\"more\"]\n[workloads.more]\nimage = \"a\"\nafter = [\"other\"]";
    let beside = "volumes = [\"a:/b\"]\n[workloads.other.processes.worker]\ncommand = [\"work\"]";
    vec![
        with(
            "a process without a command",
            "[workloads.other.processes.worker]",
            &["worker", "no command", "bad.toml"],
        ),
        with(
            "a process with an unknown key",
            "[workloads.other.processes.worker]\ncommand = [\"work\"]\nreplica = 2",
            &["replica", "replicas"],
        ),
        with("a process named as the workload", "processes.other = { command = [\"work\"] }", &["other", "own"]),
        with("a process beside a volume", beside, &["worker", "a:/b:shared"]),
        with("after itself", "after = [\"other\"]", &["after", "itself"]),
        with("after another project", "after = [\"a/b\"]", &["after", "same project"]),
        with("after in a circle", circle, &["after", "circle", "other comes after more"]),
    ]
}

/// What a workload asks of the host, as far as the file alone can tell.
fn of_the_host(project: &str) -> Vec<Case> {
    let with = |name, more, says: &[&'static str]| Case {
        name,
        file: Parts { more, ..Parts::default() }.file(project).into_bytes(),
        says: says.to_vec(),
    };
    vec![
        with("replicas with a volume", "replicas = 2\nvolumes = [\"a:/b\"]", &["replicas", "a:/b:shared"]),
        with("replicas with a port", "replicas = 2\nports = [\"1:1\"]", &["replicas"]),
        with("replicas with recreate", "replicas = 2\nstrategy = \"recreate\"", &["replicas", "recreate"]),
        with(
            "blue-green with a volume",
            "strategy = \"blue-green\"\nvolumes = [\"a:/b\"]",
            &["volumes", "recreate", "a:/b:shared"],
        ),
        with("blue-green with a port", "strategy = \"blue-green\"\nports = [\"1:1\"]", &["ports", "recreate"]),
        with("a volume without a target", "volumes = [\"a\"]", &["volumes", "/target"]),
        with("a volume with a bad name", "volumes = [\"a b:/b\"]", &["volumes", "name"]),
        with("a volume on /", "volumes = [\"a:/\"]", &["volumes", "/"]),
        with("a volume on /proc", "volumes = [\"a:/proc\"]", &["volumes", "/proc"]),
        with("two volumes on one target", "volumes = [\"a:/x\", \"b:/x\"]", &["volumes", "twice"]),
        with("the whole host", "volumes = [\"/:/x\"]", &["volumes", "whole host"]),
        with("a folder with dots", "volumes = [\"/srv/../etc:/x\"]", &["volumes", ".."]),
        with("access of another word", "volumes = [\"a:/b:rx\"]", &["volumes", "shared"]),
        with("a port that is none", "ports = [\"here\"]", &["ports", "5432:5432"]),
        with("a port of the host without one", "ports = [\"80\"]", &["ports", "5432:5432"]),
        with("a port of the host twice", "ports = [\"80:80\", \"0.0.0.0:80:81\"]", &["ports", "twice"]),
        with("a transport of another word", "ports = [\"80:80/sctp\"]", &["ports", "udp"]),
        with(
            "policy, restore_timeout of 0",
            "[workloads.other.policy]\nrestore_timeout = \"0s\"",
            &["restore_timeout"],
        ),
    ]
}
