//! The program that build steps of tests run: images have no shell but this one.
//!
//! `print TEXT`, `exit CODE`, `hang MARK`, `secret ID`, `arg NAME`, `site FOLDER` (copies the files of the present folder).

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
        Some("site") => {
            let here = std::env::current_dir().expect("a folder");
            let files: Vec<_> = std::fs::read_dir(&here).expect("files").map(|file| file.expect("a file")).collect();
            std::fs::create_dir_all(&argument).expect("its folder");
            for file in files.iter().filter(|file| file.path().is_file()) {
                std::fs::copy(file.path(), here.join(&argument).join(file.file_name())).expect("a copy");
            }
        }
        Some("arg") => println!("{argument} is {}", std::env::var(&argument).unwrap_or_default()),
        _ => panic!("what is {words:?}?"),
    }
}
