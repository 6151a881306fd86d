//! Whatever is written, there is a verdict, within bounds.

use proptest::prelude::*;

use crate::{Code, Nothing, Stack, Variables, Verdict, judge};

fn of(files: &[(&str, &[u8])]) -> Verdict {
    let given = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "${A}".to_owned())].into();
    let variables = Variables { given, ..Variables::default() };
    judge(&Stack { project: "", files, beside: &Nothing, variables, profiles: &[] })
}

fn alone(bytes: &[u8]) -> Verdict {
    of(&[("compose.yml", bytes)])
}

/// Pieces that make something of each part of the reader when they meet.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "services:\n",
        "  web:\n",
        "    image: ",
        "busybox",
        "    ports:\n",
        "      - ",
        "\"80:80\"",
        "volumes:\n",
        "- a\n",
        "  data:\n",
        "    depends_on: [web]\n",
        "    environment:\n",
        "      A: ",
        "${A",
        "}",
        "${B:-",
        "$$",
        "$A",
        "&a ",
        "*a",
        "<<: *a\n",
        "!reset null\n",
        "!override ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "    ",
        "\n",
        ": ",
        "#x\n",
        "---\n",
        "...\n",
        "? ",
        "\t",
        "x-a: ",
        "022",
        "1e3",
        "2024-01-02",
        "~",
        "\r\n",
        "ä",
        "\u{feff}",
        "extends: web\n",
        "include: [compose.yml]\n",
        "    profiles: [a]\n",
        "%YAML 1.2\n",
        "!!str ",
        "0x",
        "-",
        ",",
        "    networks: [n]\n",
        "    volumes: [\"a:/b\"]\n",
    ];
    prop::sample::select(words.map(str::to_owned).to_vec())
}

fn one_line(verdict: &Verdict) -> bool {
    verdict.faults.iter().all(|fault| !fault.to_string().contains('\n'))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let verdict = alone(&bytes);
        prop_assert!(one_line(&verdict) && !verdict.accepted());
    }

    #[test]
    fn text(text in "\\PC{0,200}") {
        prop_assert!(one_line(&alone(text.as_bytes())));
    }

    #[test]
    fn what_looks_like_a_stack(pieces in prop::collection::vec(piece(), 0..60)) {
        prop_assert!(one_line(&alone(pieces.concat().as_bytes())));
    }

    #[test]
    fn one_over_the_other(a in prop::collection::vec(piece(), 0..40), b in prop::collection::vec(piece(), 0..40)) {
        let begin = "services:\n  web:\n    image: busybox\n";
        let (a, b) = (begin.to_owned() + &a.concat(), begin.to_owned() + &b.concat());
        prop_assert!(one_line(&of(&[("compose.yml", a.as_bytes()), ("compose.override.yml", b.as_bytes())])));
    }

    #[test]
    fn a_good_stack_with_one_byte_changed(at in 0_usize..300, byte in any::<u8>()) {
        let mut text = GOOD.as_bytes().to_vec();
        let at = at % text.len();
        text[at] = byte;
        prop_assert!(one_line(&alone(&text)));
    }
}

const GOOD: &str = "x-a: &a { image: busybox, environment: [A=1] }\nservices:\n  web:\n    <<: *a\n    ports: [\"8080:80\", 90]\n    \
    volumes: [\"data:/data:ro\"]\n    depends_on:\n      db: { condition: service_healthy }\n  db: { <<: *a, healthcheck: { test: x } }\n\
    volumes: { data: }\n";

#[test]
fn what_would_grow_is_refused_before_it_does() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..40 {
        let inner = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb += &format!("a{n}: &a{n} [{inner}]\n");
    }
    assert_eq!(alone(bomb.as_bytes()).faults[0].code, Code::Limit);

    let text = "y".repeat(500_000);
    let many = format!("a: &a {text}\nb: [{}]\n", vec!["*a"; 100_000].join(","));
    assert_eq!(alone(many.as_bytes()).faults[0].code, Code::Limit);

    let mut merged = String::from("a0: &a0 { k0: v }\n");
    for n in 1..3_000 {
        merged += &format!("a{n}: &a{n} {{ <<: *a{}, k{n}: v }}\n", n - 1);
    }
    assert_eq!(alone(merged.as_bytes()).faults[0].code, Code::Limit);

    let filled = format!("x: [{}]\nservices: {{ web: {{ image: x }} }}\n", vec!["$LONG"; 100_000].join(","));
    let environment = [("LONG".to_owned(), "z".repeat(100_000))].into();
    let variables = Variables { environment, ..Variables::default() };
    let files: &[(&str, &[u8])] = &[("compose.yml", filled.as_bytes())];
    let verdict = judge(&Stack { project: "", files, beside: &Nothing, variables, profiles: &[] });
    assert!(verdict.faults.len() < 100 && verdict.faults.iter().any(|fault| fault.code == Code::Limit));
}

#[test]
fn what_is_deep_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let deep = format!("a: {}x{}\n", open.repeat(50_000), close.repeat(50_000));
        assert!(!alone(deep.as_bytes()).accepted());
    }
    let mut block = String::new();
    for level in 0..1_000 {
        block += &format!("{}a:\n", " ".repeat(level));
    }
    assert_eq!(alone(block.as_bytes()).faults[0].code, Code::Limit);
}

#[test]
fn what_would_take_long_is_refused() {
    let ports = |from: usize, n: usize| {
        let all: Vec<String> = (from..from + n).map(|port| format!("\"{port}:1\"")).collect();
        all.join(",")
    };
    let told = |text: &str, words: &str| alone(text.as_bytes()).faults.iter().any(|fault| fault.text.contains(words));
    let one = format!("services: {{ web: {{ image: x, ports: [{}] }} }}\n", ports(1, 2_000));
    assert!(told(&one, "2000 ports; at most 1000"));
    let mut many = String::from("services:\n");
    for n in 0..10 {
        many += &format!("  s{n}: {{ image: x, ports: [{}] }}\n", ports(n * 900 + 1, 900));
    }
    assert!(told(&many, "more than 4096 ports"));
    let volumes = (0..40_000).map(|n| format!("\"v{n}:/a{n}\"")).collect::<Vec<_>>().join(",");
    let declared = (0..20_000).map(|n| format!("w{n}: {{}}")).collect::<Vec<_>>().join(",");
    let text = format!("services: {{ web: {{ image: x, volumes: [{volumes}] }} }}\nvolumes: {{ {declared} }}\n");
    assert!(told(&text, "40000 volumes; at most 1000"));
}

#[test]
fn what_compose_needs_of_the_folder_is_told() {
    let text = "services:\n  web: { image: x, build: ./web, volumes: [\"./a:/a\", \"../b:/b\", \"c:/c\"] }\n\
                volumes: { c: {} }\nsecrets: { s: { file: keys/s } }\n";
    let paths: Vec<String> = alone(text.as_bytes()).paths.into_iter().collect();
    assert_eq!(paths, ["a", "keys/s", "web"]);
}

#[test]
fn many_faults_are_counted() {
    let mut text = String::from("services:\n");
    for n in 0..200 {
        text += &format!("  s{n}: {{ image: x, foo{n}: y }}\n");
    }
    let verdict = alone(text.as_bytes());
    assert_eq!(verdict.faults.len(), 51);
    assert_eq!(verdict.faults[50].text, "and 150 more");
}
