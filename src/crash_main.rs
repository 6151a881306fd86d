//! The program with its crash points: what the proofs kill.

fn main() -> std::process::ExitCode {
    cutover::cli::main()
}
