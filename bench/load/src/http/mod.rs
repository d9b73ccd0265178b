//! Mode `http`: every connection is kept alive and has the same number of GET requests in flight,
//! pipelined if there is more than one. The responses of one read are followed by as many new requests in
//! one write. Each response must have status 200 and the expected content; the first that has not ends the
//! run.

mod crowd;
mod link;
mod response;

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::Failure;
use crate::measure::Interval;
use crate::report::{Outcome, Report, micros};
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};
use crowd::{Crowd, Question};

/// Responses that have not come when nothing came for this long are lost.
const LAST_RESPONSES: Duration = Duration::from_secs(2);

/// What a browser sends with a request, in kind and length.
const BROWSER_FIELDS: &str = "Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n";

/// Options, besides the target's: `--connections` (100), `--in-flight` (1), `--expect` (the content of a
/// response, `Hello World!`), `--browser` for requests with the fields that a browser sends instead of the host alone,
/// `--seconds` (5), `--warmup-seconds` (1).
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 100, 1)?;
    let in_flight = args.count("in-flight", 1, 1)?;
    let content = args.value("expect", "Hello World!".to_owned())?;
    let fields = if args.switch("browser")? { BROWSER_FIELDS } else { "" };
    let measured = args.seconds("seconds", 5.0)?;
    let warmup = args.seconds("warmup-seconds", 1.0)?;
    let target = Target::from_args(&mut args, connections.div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;

    let process = target.process;
    let host = target.address(0).to_string();
    let question = Question::new(&host, &target.path, fields, content.into_bytes(), in_flight);
    let mut crowd = Crowd::open(&target, question, connections)?;
    crowd.begin()?;
    let warm = Instant::now();
    while warm.elapsed() < warmup {
        crowd.turn_expecting()?;
    }
    crowd.latency.clear();
    let before = crowd.answers();
    let interval = Interval::begin(process)?;
    while interval.elapsed() < measured {
        crowd.turn_expecting()?;
    }
    let used = interval.end()?;
    let requests = crowd.answers() - before;
    if requests == 0 {
        return Err(Failure::new("the server answered no request in the measured interval"));
    }
    let lost = crowd.finish(LAST_RESPONSES)?;

    let seconds = used.elapsed.as_secs_f64();
    let mut report = Report::new();
    report
        .text("mode", "http")
        .count("connections", connections as u64)
        .count("inFlight", in_flight as u64)
        .count("fieldBytes", fields.len() as u64)
        .number("seconds", seconds)
        .count("requests", requests)
        .number("requestsPerSecond", requests as f64 / seconds)
        .number("microsPerRequest", micros(used.elapsed) / requests as f64)
        .latency("latencyMicros", &crowd.latency);
    used.report(&mut report, requests);
    report.count("lost", lost);
    let verdict = match lost {
        0 => Ok(()),
        lost => Err(Failure::new(format!("the server's answers were wrong: {lost} lost"))),
    };
    Ok(Outcome { report, verdict })
}
