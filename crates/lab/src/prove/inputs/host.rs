//! What a workload asks of the host: volumes, folders, ports.

use std::net::{Ipv4Addr, TcpListener};

use super::{Expected, Inputs};
use crate::Result;
use crate::stand::Stand;

/// Refused content.
const REFUSED: &[i32] = &[15];
/// A claim is held, or a port is taken.
const CONFLICT: &[i32] = &[5];

/// A workload that is recorded and never deployed: it holds a volume and a port.
pub(super) struct Holder {
    port: u16,
}

/// Its name, the project, the lines of the workload, exit codes, and what must be said.
type Case<'a> = (&'a str, &'a str, String, &'a [i32], &'a [&'a str]);

/// A file with one workload that nothing leads to.
fn file(project: &str, name: &str, lines: &str) -> String {
    format!("project = \"{project}\"\n\n[workloads.{name}]\nimage = \"cutover-lab/sample:v1\"\n{lines}\n")
}

impl Holder {
    /// Records it.
    pub(super) async fn record(stand: &Stand) -> Result<Self> {
        // Nobody listens there afterwards: what is in the way is the claim alone.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let lines = format!("volumes = [\"{}:/data\"]\nports = [\"{port}:8080\"]", volume(stand));
        let path = stand.write("holder.toml", &file(&stand.project, "holder", &lines))?;
        stand.must(&["apply", "--no-deploy", &path]).await?;
        Ok(Self { port })
    }
}

fn volume(stand: &Stand) -> String {
    format!("{}-held", stand.project)
}

pub(super) async fn try_all(inputs: &mut Inputs<'_>, holder: &Holder) -> Result {
    let stand = inputs.scene.stand;
    let held = volume(stand);
    let name = stand.full_name("holder");
    let elsewhere = format!("{}-else", stand.project);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let taken_port = taken.local_addr()?.port();
    let pid = format!("pid {}", std::process::id());
    let proxy = stand.proxy.port();
    let port = holder.port;
    let cases: [Case<'_>; 10] = [
        ("a volume of another project", &elsewhere, format!("volumes = [\"{held}:/x:ro\"]"), CONFLICT, &[&held, &name]),
        (
            "a volume held alone",
            &stand.project,
            format!("volumes = [\"{held}:/x:shared\"]"),
            CONFLICT,
            &[&name, ":shared"],
        ),
        ("a port held", &elsewhere, format!("ports = [\"{port}:1\"]"), CONFLICT, &[&port.to_string(), &name]),
        ("a port held, on all addresses", &elsewhere, format!("ports = [\"0.0.0.0:{port}:1\"]"), CONFLICT, &[&name]),
        ("a port taken", &stand.project, format!("ports = [\"{taken_port}:1\"]"), CONFLICT, &["taken", &pid]),
        ("a port of the proxy", &stand.project, format!("ports = [\"{proxy}:1\"]"), CONFLICT, &["taken", "cutover"]),
        (
            "an address of another host",
            &stand.project,
            "ports = [\"192.0.2.1:47126:1\"]".into(),
            REFUSED,
            &["192.0.2.1"],
        ),
        ("a folder outside", &stand.project, "volumes = [\"/srv:/x:ro\"]".into(), REFUSED, &["[limits] bind"]),
        ("a folder of the system", &stand.project, "volumes = [\"/etc:/x\"]".into(), REFUSED, &["[limits] bind"]),
        ("Docker's socket", &stand.project, "volumes = [\"/var/run/docker.sock:/d\"]".into(), REFUSED, &["Docker"]),
    ];
    for (case, project, lines, codes, says) in cases {
        let path = stand.write("host.toml", &file(project, "other", &lines))?;
        for command in ["plan", "apply"] {
            let expected = Expected { codes, says };
            inputs.command(&format!("{command}, {case}"), &[command, &path], expected).await?;
        }
    }
    drop(taken);
    Ok(())
}
