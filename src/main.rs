fn main() -> std::process::ExitCode {
    receptive::cli::main()
}
