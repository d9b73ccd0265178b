//! `tidewire-load MODE --port PORT [--pid PID] [options] [--json]`: puts load on a server
//! and prints what was measured. Exits with 1, and a sentence on standard error, if the server fails.

use std::io::{self, Write};
use std::process::ExitCode;

use tidewire_load::args::Args;
use tidewire_load::failure::Failure;
use tidewire_load::report::Outcome;
use tidewire_load::{churn, echo, fanout, flood, herd, http, idle, million, rtt, shutdown, soak, storm, swamp};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "tidewire-load: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mode, mut args) = Args::parse(std::env::args().skip(1))?;
    if mode == "million-share" {
        return million::share::run(args);
    }
    let is_json = args.switch("json")?;
    let Outcome { report, verdict } = match mode.as_str() {
        "echo" => echo::run(args)?,
        "idle" => idle::run(args)?,
        "rtt" => rtt::run(args)?,
        "churn" => churn::run(args)?,
        "fanout" => fanout::run(args)?,
        "http" => http::run(args)?,
        "storm" => storm::run(args)?,
        "herd" => herd::run(args)?,
        "flood" => flood::run(args)?,
        "swamp" => swamp::run(args)?,
        "shutdown" => shutdown::run(args)?,
        "million" => million::run(args)?,
        "soak" => soak::run(args)?,
        other => {
            return Err(Failure::new(format!(
                "`{other}` is no mode; there are echo, idle, rtt, churn, fanout, http, storm, herd, flood, swamp, shutdown, million and soak"
            )));
        }
    };
    let text = if is_json { report.to_json() + "\n" } else { report.to_text() };
    io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::io("the report cannot be written", &error))?;
    verdict
}
