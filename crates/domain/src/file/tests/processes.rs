//! Processes and `after`.

use super::super::read;
use super::{one, refused, web};

fn worker(lines: &str) -> String {
    format!("[workloads.web.processes.worker]\ncommand = [\"work\"]\n{lines}")
}

#[test]
fn a_process_has_what_the_workload_has_unless_it_says_otherwise() {
    let spec = one(&web(&format!("memory = \"1GiB\"\npids = 9\n{}", worker("pids = 5")))).spec;
    let process = &spec.processes[0];
    assert_eq!((process.name.as_str(), process.replicas, process.health.clone()), ("worker", 1, None));
    assert_eq!((process.limits.memory_bytes, process.limits.pids), (Some(1 << 30), Some(5)));
}

#[test]
fn processes_that_cannot_be() {
    let cases: &[(&str, &str, &str)] = &[
        ("[workloads.web.processes.worker]", "3:26: workloads.web.processes.worker", "has no command"),
        ("processes = { worker = { replicas = 2 } }", "3:15: workloads.web.processes.worker", "has no command"),
        (&worker("comand = 1"), "5:1: workloads.web.processes.worker.comand", "\"command\""),
        (&worker("env = {}"), "5:1: workloads.web.processes.worker.env", "not yet supported"),
        (&worker("replicas = 0"), "5:12: workloads.web.processes.worker.replicas", "1 to 64"),
        (&worker("replicas = 64"), "3:16: workloads.web.processes", "at most 64"),
        (&worker("health = \"/up\""), "5:10: workloads.web.processes.worker.health", "port = NUMBER }"),
        ("processes.web = { command = [\"a\"] }", "3:11: workloads.web.processes.web", "own process"),
        ("processes.W = { command = [\"a\"] }", "3:11: workloads.web.processes.W", "name"),
        ("processes.a = { command = [] }", "3:27: workloads.web.processes.a.command", "an empty command"),
        ("processes = []", "3:13: workloads.web.processes", "a table"),
    ];
    for (lines, place, word) in cases {
        let bad = refused(&web(lines)).to_string();
        assert!(bad.starts_with(&format!("f.toml:{place}: ")), "{lines}\n{bad}");
        assert!(bad.contains(word), "{lines}\n{bad}");
    }
    let many: Vec<String> = (0..17).map(|n| format!("p{n} = {{ command = [\"a\"] }}")).collect();
    assert!(refused(&web(&format!("[workloads.web.processes]\n{}", many.join("\n")))).text.contains("at most 16"));
}

#[test]
fn what_one_container_has_is_not_shared_with_a_process() {
    for (lines, change) in [("volumes = [\"a:/a\"]", "a:/a:shared"), ("ports = [\"1:1\"]", "leave ports out")] {
        let bad = refused(&web(&format!("{lines}\n{}", worker(""))));
        assert!(bad.text.contains("the process worker there are two") && bad.text.contains(change), "{bad}");
    }
    let bad = refused(&web(&format!("strategy = \"recreate\"\n{}", worker("replicas = 2"))));
    assert!(bad.text.contains("recreate") && bad.key.ends_with("processes.worker.replicas"), "{bad}");
    let fine = ["strategy = \"recreate\"", "volumes = [\"a:/a:shared\"]", "volumes = [\"a:/a:ro\"]\nreplicas = 3"];
    for lines in fine {
        assert_eq!(one(&web(&format!("{lines}\n{}", worker("")))).spec.processes.len(), 1, "{lines}");
    }
}

#[test]
fn after_names_others_of_the_project() {
    let cases: &[(&str, &str, &str)] = &[
        ("after = \"db\"", "3:9: workloads.web.after", "an array"),
        ("after = [1]", "3:10: workloads.web.after[0]", "a string"),
        ("after = [\"shop/db\"]", "3:10: workloads.web.after[0]", "same project"),
        ("after = [\"D\"]", "3:10: workloads.web.after[0]", "name"),
        ("after = [\"web\"]", "3:10: workloads.web.after[0]", "after itself"),
        ("after = [\"db\", \"db\"]", "3:16: workloads.web.after[1]", "twice"),
    ];
    for (lines, place, word) in cases {
        let bad = refused(&web(lines)).to_string();
        assert!(bad.starts_with(&format!("f.toml:{place}: ")), "{lines}\n{bad}");
        assert!(bad.contains(word), "{lines}\n{bad}");
    }
    assert_eq!(one(&web("after = [\"db\", \"elsewhere\"]")).spec.after, ["db", "elsewhere"]);
}

#[test]
fn a_circle_in_one_file_is_told_whole() {
    let of = |name: &str, after: &str| format!("[workloads.{name}]\nimage = \"x\"\nafter = [{after}]\n");
    let bad = refused(&[of("a", "\"b\""), of("b", "\"c\""), of("c", "\"a\"")].concat());
    assert!(bad.to_string().starts_with("f.toml:3:1: workloads.a.after: "), "{bad}");
    assert!(bad.text.contains("a comes after b comes after c comes after a"), "{bad}");
    let fine = [of("a", "\"b\", \"c\""), of("b", "\"c\""), of("c", "")].concat();
    assert_eq!(read("f.toml", fine.as_bytes()).map(|all| all.len()).ok(), Some(3));
}
