//! The program that build steps of tests run: images have no shell but this one.
//!
//! `print TEXT`, `exit CODE`, `hang MARK`, `secret ID`, `arg NAME`.

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let argument = words.get(1).cloned().unwrap_or_default();
    match words.first().map(String::as_str) {
        Some("print") => println!("{argument}"),
        Some("exit") => {
            println!("going to fail");
            std::process::exit(argument.parse().unwrap_or(1));
        }
        Some("hang") => {
            println!("hanging");
            loop {
                std::thread::park();
            }
        }
        Some("secret") => {
            let value = std::fs::read(format!("/run/secrets/{argument}")).expect("a secret");
            println!("a secret of {} bytes", value.len());
        }
        Some("arg") => println!("{argument} is {}", std::env::var(&argument).unwrap_or_default()),
        _ => panic!("what is {words:?}?"),
    }
}
