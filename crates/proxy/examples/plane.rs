//! The data plane alone, as `cutover proxy` runs it: `plane FOLDER ADDRESS [LOG FILE]`. For measurements of it.

use std::process::ExitCode;

use cutover_proxy::config::{AccessLog, Config};
use cutover_proxy::process::{Reexec, run, serve};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (folder, address) = match args.as_slice() {
        [serving] if serving == "--serving" => return serve(),
        [folder, address, ..] => (folder, address),
        _ => {
            eprintln!("plane FOLDER ADDRESS [LOG FILE]");
            return ExitCode::from(2);
        }
    };
    let Ok(address) = address.parse() else {
        eprintln!("{address} is no address: write 127.0.0.1:8080");
        return ExitCode::from(2);
    };
    let access_log = args.get(2).map_or(AccessLog::Off, |path| AccessLog::File(path.into()));
    let config = Config { folder: folder.into(), listen: vec![address], access_log, ..Config::default() };
    let started = std::env::current_exe().map(|program| Reexec { program, args: vec!["--serving".into()] });
    let outcome =
        started.map_err(|e| e.to_string()).and_then(|reexec| run(&config, &reexec).map_err(|e| e.to_string()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
