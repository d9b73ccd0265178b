//! The processes that hold the connections: started from this very program, each with its share, heard
//! on a pipe each. When the family is dropped, or this process ends, they end by themselves.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::million::tally::Tally;

/// How long the last lines may take: the last answers are waited for, and a million sockets take long
/// to close.
const LAST_LINES: Duration = Duration::from_secs(60);

/// How long an answer may take. After it the counts are those of the second before.
const ANSWER: Duration = Duration::from_secs(2);

/// What came from a child.
enum News {
    Line(usize, String),
    End(usize),
}

/// One process and what it told last.
struct Member {
    child: Child,
    /// Dropped to say: stop.
    input: Option<ChildStdin>,
    tally: Tally,
    /// Questions that it has not answered yet.
    owes: u32,
    has_ended: bool,
}

/// The processes of one run.
pub struct Family {
    members: Vec<Member>,
    news: Receiver<News>,
    /// Latencies that were told since they were taken last.
    latency: Histogram,
}

impl Family {
    /// Starts a process for each list of arguments.
    pub fn start(shares: Vec<Vec<String>>) -> Result<Self, Failure> {
        let program =
            std::env::current_exe().map_err(|error| Failure::io("this program does not know its path", &error))?;
        let (sender, news) = mpsc::channel();
        let mut members = Vec::with_capacity(shares.len());
        for (index, share) in shares.into_iter().enumerate() {
            let mut child =
                Command::new(&program).args(share).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(
                    |error| Failure::io(format_args!("process {index} of the load cannot be started"), &error),
                )?;
            let (input, output) = (child.stdin.take(), child.stdout.take());
            let sender = sender.clone();
            thread::spawn(move || {
                let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines().map_while(Result::ok));
                // Nobody listens any more when the run has failed.
                for line in lines {
                    let _ = sender.send(News::Line(index, line));
                }
                let _ = sender.send(News::End(index));
            });
            members.push(Member { child, input, tally: Tally::default(), owes: 0, has_ended: false });
        }
        Ok(Self { members, news, latency: Histogram::new() })
    }

    /// Lets time pass. A process that ends in it is a failure.
    pub fn rest_until(&mut self, until: Instant) -> Result<(), Failure> {
        self.listen(until, |_| true)
    }

    /// Asks all what they counted; what one does not answer in time stays what it was.
    pub fn ask(&mut self) -> Result<(), Failure> {
        for member in &mut self.members {
            if let Some(input) = &mut member.input {
                // One that has ended is heard of below.
                let _ = input.write_all(b"?");
                member.owes += 1;
            }
        }
        self.listen(Instant::now() + ANSWER, |member| member.owes > 0)
    }

    /// Asks all to stop, and waits for their last lines.
    pub fn stop(&mut self) -> Result<(), Failure> {
        for member in &mut self.members {
            member.input = None;
        }
        self.listen(Instant::now() + LAST_LINES, |member| !member.has_ended)?;
        if self.members.iter().any(|member| !member.has_ended) {
            return Err(Failure::new("a process of the load did not end when it was asked to"));
        }
        Ok(())
    }

    /// The sum of what all told last, with the latencies since this was asked last.
    pub fn sum(&mut self) -> Tally {
        let mut sum = Tally::default();
        for member in &self.members {
            sum.add_counts(&member.tally);
        }
        std::mem::swap(&mut sum.latency, &mut self.latency);
        sum
    }

    /// Listens until then, or until none of the members is worth waiting for.
    fn listen(&mut self, until: Instant, is_awaited: impl Fn(&Member) -> bool) -> Result<(), Failure> {
        while self.members.iter().any(&is_awaited) {
            match self.news.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(news) => self.take(news)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Line(index, line) => {
                let tally = Tally::from_line(&line)
                    .ok_or_else(|| Failure::new(format!("process {index} of the load told `{line}`")))?;
                self.latency.merge(&tally.latency);
                self.members[index].tally = tally;
                self.members[index].owes = self.members[index].owes.saturating_sub(1);
            }
            News::End(index) => {
                let member = &mut self.members[index];
                member.has_ended = true;
                if member.input.is_some() {
                    return Err(Failure::new(format!("process {index} of the load ended early; its reason is above")));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.input = None;
            if !member.has_ended {
                // It may have ended in between, which is as good.
                let _ = member.child.kill();
            }
            let _ = member.child.wait();
        }
    }
}
