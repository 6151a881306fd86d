//! The sources of a workload file, as far as the file alone can tell.

use super::files::Case;

/// What is written below `[workloads.other]`, and what the refusal must say.
const CASES: &[(&str, &str, &[&str])] = &[
    ("dockerfile of a wrong type", "dockerfile = 1", &["dockerfile", "folder"]),
    ("dockerfile that names the file", "dockerfile = \"api/Dockerfile\"", &["names the folder that is built"]),
    ("dockerfile out of its context", "dockerfile = { context = \".\", file = \"../D\" }", &["file", "leads out"]),
    ("dockerfile, absolute in its context", "dockerfile = { context = \".\", file = \"/D\" }", &["file", "relative"]),
    ("dockerfile, unknown key", "dockerfile = { contxt = \".\" }", &["contxt", "context"]),
    ("dockerfile, a stage like a flag", "dockerfile = { context = \".\", target = \"-x\" }", &["target", "stage"]),
    ("dockerfile, an argument that is a number", "dockerfile = { context = \".\", args = { A = 1 } }", &["quotes"]),
    ("dockerfile, a secret that is no name", "dockerfile = { context = \".\", secrets = [\"a b\"] }", &["secret"]),
    ("dockerfile, a reference like a flag", "dockerfile = \"https://h/a.git#--x\"", &["not a branch"]),
    ("dockerfile, a folder out of the repository", "dockerfile = \"https://h/a.git#m:../x\"", &["leads out"]),
    ("dockerfile, a host like a flag", "dockerfile = \"ssh://-oProxyCommand=x/a\"", &["hyphen"]),
    ("dockerfile, an unknown scheme", "dockerfile = \"ftp://h/a\"", &["https://", "ssh://"]),
    ("dockerfile, a tarball at an address", "dockerfile = \"https://h/a.tar.gz\"", &["tarball"]),
    ("dockerfile, replicas without blue-green", "dockerfile = \".\"\nreplicas = 2", &["default of dockerfile"]),
    ("static of a wrong type", "static = [\"a\"]", &["static", "folder"]),
    ("static, mode of another word", "static = { path = \".\", mode = \"node\" }", &["\"files\"", "\"deno\""]),
    ("static with a port", "static = \".\"\nport = 80", &["port", "the proxy serves the files itself"]),
    ("static with volumes", "static = \".\"\nvolumes = [\"a:/b\"]", &["volumes", "static"]),
    ("static with replicas", "static = \".\"\nreplicas = 2", &["replicas", "static"]),
    ("static, an index in a folder", "static = { path = \".\", index = \"a/b\" }", &["index"]),
    ("static, a page out of the site", "static = { path = \".\", fallback = \"../a\" }", &["fallback", "leads out"]),
    ("static, a build without an image", "static = { path = \".\", build = { command = [\"a\"] } }", &["image"]),
    ("static, a grace that is none", "static = { path = \".\", assets_grace = \"soon\" }", &["assets_grace"]),
    ("static, pages of a program", "static = { path = \".\", mode = \"deno\", index = \"a\" }", &["index", "deno"]),
    ("static, storage in the system", "static = { path = \".\", storage = \"/run:/x\" }", &["storage"]),
    ("compose of a wrong type", "compose = 1", &["compose", "path"]),
    ("compose, blue-green", "compose = \"c.yml\"\nstrategy = \"blue-green\"", &["compose", "no one target"]),
    ("compose, a file and a text", "compose = { file = \"a\", compose_yaml = \"b\" }", &["exactly one"]),
    ("compose, neither file nor text", "compose = { adopt = true }", &["exactly one"]),
    ("compose, a text that is empty", "compose = { compose_yaml = \"\" }", &["empty"]),
    ("compose with a host", "compose = \"c.yml\"\nhost = \"a.test\"", &["host", "service"]),
    ("compose with health", "compose = \"c.yml\"\nhealth = \"/\"", &["health", "service"]),
    (
        "compose, a route without a service",
        "compose = \"c.yml\"\nroutes = [{ host = \"a.test\", port = 1 }]",
        &["service"],
    ),
    (
        "image, credentials that are no name",
        "image = { ref = \"a\", credentials = \"a b\" }",
        &["credentials", "secret"],
    ),
    (
        "dockerfile, credentials that are no name",
        "dockerfile = { context = \"https://h/a.git\", credentials = \"a b\" }",
        &["credentials", "secret"],
    ),
    (
        "dockerfile, credentials of a folder",
        "dockerfile = { context = \".\", credentials = \"a\" }",
        &["credentials", "git"],
    ),
    ("static, credentials of a folder", "static = { path = \".\", credentials = \"a\" }", &["credentials", "git"]),
    (
        "static, credentials for git://",
        "static = { path = \"git://h/a.git\", credentials = \"a\" }",
        &["git://", "https"],
    ),
    (
        "compose, credentials of a text",
        "compose = { compose_yaml = \"services: {}\", credentials = \"a\" }",
        &["credentials", "git"],
    ),
    ("image, a service", "image = \"a\"\nroutes = [{ host = \"a.test\", port = 1, service = \"x\" }]", &["service"]),
    ("three sources", "image = \"a\"\nstatic = \".\"\ncompose = \"c\"", &["static", "second source", "exactly one"]),
];

/// Every case as a file.
pub(super) fn refused(project: &str) -> Vec<Case> {
    let file = |lines: &str| format!("project = \"{project}\"\n\n[workloads.other]\n{lines}\n").into_bytes();
    CASES.iter().map(|(name, lines, says)| Case { name, file: file(lines), says: says.to_vec() }).collect()
}
