//! Volumes, ports of the host, and what they make exclusive.

use cutover_events::workload::{Access, MountFrom, Transport};

use super::*;

pub(super) const DATABASE: &str = r#"
[workloads.db]
image = "postgres:17"
strategy = "recreate"
volumes = ["pgdata:/var/lib/postgresql/data", "/srv/data/x:/data:ro"]
ports = ["5432:5432", "[::1]:53:5300/udp"]
health = "tcp:5432"
"#;

#[test]
fn volumes_and_ports_reach_the_spec() {
    let declared = one(DATABASE);
    let mounts = vec![
        mount(MountFrom::Volume("pgdata".into()), "/var/lib/postgresql/data", Access::Exclusive),
        mount(MountFrom::Folder("/srv/data/x".into()), "/data", Access::ReadOnly),
    ];
    assert_eq!(declared.spec.mounts, mounts);
    let ports = vec![port("127.0.0.1", 5432, 5432, Transport::Tcp), port("::1", 53, 5300, Transport::Udp)];
    assert_eq!(declared.spec.ports, ports);
    assert_eq!(declared.spec.policy.restore_timeout_ms, 600_000);
    assert_eq!(declared.warnings, Vec::<String>::new());
    let tables = "[[workloads.web.ports]]\nhost = 1\ncontainer = 2\n[[workloads.web.ports]]\nhost = 2\n\
                  container = 2\naddress = \"::\"\ntransport = \"udp\"\n[[workloads.web.volumes]]\nvolume = \"a\"\n\
                  target = \"/a\"";
    let spec = one(&web(tables)).spec;
    assert_eq!(spec.ports, vec![port("127.0.0.1", 1, 2, Transport::Tcp), port("::", 2, 2, Transport::Udp)]);
    assert_eq!(spec.mounts, vec![mount(MountFrom::Volume("a".into()), "/a", Access::Exclusive)]);
}

#[test]
fn what_is_exclusive_says_how_it_is_replaced_and_how_to_change_that() {
    let cases = [
        ("volumes = [\"a:/a\"]", "recreate", "a:/a:shared"),
        ("volumes = [\"a:/a:rw\"]", "recreate", "a:/a:ro"),
        ("ports = [\"80:80\"]", "recreate", "leave ports out"),
        ("volumes = [\"a:/a\"]\npolicy.standby = \"1m\"", "standby", "no effect"),
        ("strategy = \"recreate\"\npolicy.standby = \"1m\"", "standby", "no effect"),
    ];
    for (lines, word, hint) in cases {
        let warnings = one(&web(lines)).warnings;
        assert!(warnings.iter().any(|line| line.contains(word) && line.contains(hint)), "{lines}: {warnings:?}");
    }
    for lines in
        ["volumes = [\"a:/a:shared\", \"b:/b:ro\"]\nreplicas = 3", "strategy = \"recreate\"\nvolumes = [\"a:/a\"]"]
    {
        assert_eq!(one(&web(lines)).warnings, Vec::<String>::new(), "{lines}");
    }
}

#[test]
fn workloads_of_one_file_leave_one_another_what_they_need() {
    let two = |a: &str, b: &str| format!("[workloads.a]\nimage = \"x\"\n{a}\n[workloads.b]\nimage = \"x\"\n{b}\n");
    let clashes = [
        ("volumes = [\"v:/v\"]", "volumes = [\"v:/v:ro\"]", "the volume v"),
        ("volumes = [\"/srv/a:/v\"]", "volumes = [\"/srv/a/b:/v:shared\"]", "the folder /srv/a/b"),
        ("ports = [\"80:80\"]", "ports = [\"0.0.0.0:80:81\"]", "the port 0.0.0.0:80/tcp"),
    ];
    for (a, b, word) in clashes {
        let bad = refused(&two(a, b));
        assert!(bad.text.contains(word) && bad.text.contains("needed by a"), "{bad}");
    }
    let fine = [
        ("volumes = [\"v:/v:shared\"]", "volumes = [\"v:/v:ro\"]"),
        ("volumes = [\"/srv/a:/v\"]", "volumes = [\"/srv/ab:/v\"]"),
        ("ports = [\"80:80\"]", "ports = [\"80:80/udp\", \"[::1]:80:80\"]"),
    ];
    for (a, b) in fine {
        assert_eq!(read("f.toml", two(a, b).as_bytes()).map(|all| all.len()).ok(), Some(2), "{a} {b}");
    }
}

#[test]
fn volumes_and_ports_that_cannot_be() {
    let cases: &[(&str, &str, &str)] = &[
        ("volumes = 1", "3:11: workloads.web.volumes", "an array"),
        ("volumes = \"a:/b\"", "3:11: workloads.web.volumes", "an array"),
        ("volumes = [1]", "3:12: workloads.web.volumes[0]", "NAME:/target"),
        ("volumes = [\"a\"]", "3:12: workloads.web.volumes[0]", "NAME:/target"),
        ("volumes = [\"a:/b:ro:x\"]", "3:12: workloads.web.volumes[0]", "NAME:/target"),
        ("volumes = [\"a:/b:rx\"]", "3:12: workloads.web.volumes[0]", "\"rw\", \"shared\" or \"ro\""),
        ("volumes = [\"a b:/b\"]", "3:12: workloads.web.volumes[0]", "name of a volume"),
        ("volumes = [\"../a:/b\"]", "3:12: workloads.web.volumes[0]", "absolute"),
        ("volumes = [\"/:/b\"]", "3:12: workloads.web.volumes[0]", "whole host"),
        ("volumes = [\"/var/run/docker.sock:/d\"]", "3:12: workloads.web.volumes[0]", "root"),
        ("volumes = [\"/a/../b:/d\"]", "3:12: workloads.web.volumes[0]", "\"..\""),
        ("volumes = [\"a:b\"]", "3:12: workloads.web.volumes[0]", "absolute"),
        ("volumes = [\"a:/\"]", "3:12: workloads.web.volumes[0]", "nothing can be mounted"),
        ("volumes = [\"a:/proc/x\"]", "3:12: workloads.web.volumes[0]", "nothing can be mounted"),
        ("volumes = [\"a:/x\", \"b:/x/\"]", "3:20: workloads.web.volumes[1]", "twice"),
        ("volumes = [\"a:/x\", \"a:/y:ro\"]", "3:20: workloads.web.volumes[1]", "same access"),
        ("volumes = [{ volume = \"a\" }]", "3:12: workloads.web.volumes[0]", "\"target\" is missing"),
        ("volumes = [{ target = \"/a\" }]", "3:12: workloads.web.volumes[0]", "exactly one"),
        (
            "volumes = [{ volume = \"a\", target = \"/a\", acces = 1 }]",
            "3:43: workloads.web.volumes[0].acces",
            "\"access\"",
        ),
        ("replicas = 2\nvolumes = [\"a:/a\"]", "3:1: workloads.web.replicas", "replicas = 1"),
        ("replicas = 2\nports = [\"1:1\"]", "3:1: workloads.web.replicas", "replicas = 1"),
        ("replicas = 2\nstrategy = \"recreate\"", "3:1: workloads.web.replicas", "replicas = 1"),
        ("strategy = \"blue-green\"\nvolumes = [\"a:/a\"]", "4:1: workloads.web.volumes[0]", "a:/a:shared"),
        ("strategy = \"blue-green\"\nports = [\"1:1\"]", "4:1: workloads.web.ports[0]", "recreate"),
        ("ports = [80]", "3:10: workloads.web.ports[0]", "HOST:CONTAINER"),
        ("ports = [\"80\"]", "3:10: workloads.web.ports[0]", "HOST:CONTAINER"),
        ("ports = [\":80\"]", "3:10: workloads.web.ports[0]", "HOST:CONTAINER"),
        ("ports = [\"80:+80\"]", "3:10: workloads.web.ports[0]", "HOST:CONTAINER"),
        ("ports = [\"0:80\"]", "3:10: workloads.web.ports[0]", "1 to 65535"),
        ("ports = [\"80:99999999999999999999\"]", "3:10: workloads.web.ports[0]", "HOST:CONTAINER"),
        ("ports = [\"80:80/sctp\"]", "3:10: workloads.web.ports[0]", "\"tcp\" or \"udp\""),
        ("ports = [\"host:80:80\"]", "3:10: workloads.web.ports[0]", "127.0.0.1"),
        ("ports = [\"::1:80:80\"]", "3:10: workloads.web.ports[0]", "brackets"),
        ("ports = [\"[127.0.0.1]:80:80\"]", "3:10: workloads.web.ports[0]", "brackets"),
        ("ports = [\"224.0.0.1:80:80\"]", "3:10: workloads.web.ports[0]", "group"),
        ("ports = [\"1:1\", \"0.0.0.0:1:2\"]", "3:17: workloads.web.ports[1]", "twice"),
        ("ports = [{ host = 1 }]", "3:10: workloads.web.ports[0]", "\"container\" is missing"),
    ];
    for (lines, place, word) in cases {
        let bad = refused(&web(lines)).to_string();
        assert!(bad.starts_with(&format!("f.toml:{place}: ")), "{lines}\n{bad}");
        assert!(bad.contains(word), "{lines}\n{bad}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("\"v{n}:/v{n}:ro\"")).collect();
    assert!(refused(&web(&format!("volumes = [{}]", many.join(", ")))).text.contains("at most 32"));
    let tables: String =
        (0..33).map(|n| format!("[[workloads.web.ports]]\nhost = {}\ncontainer = 1\n", n + 1)).collect();
    assert!(refused(&web(&tables)).text.contains("at most 32"));
}
