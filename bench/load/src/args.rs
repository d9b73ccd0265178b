//! The command line: a mode, then `--name value`, `--name=value` or `--name` alone. Each mode takes
//! what it knows by name, with its default; what nobody took is an error.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::failure::Failure;

/// The options of one run that were not taken yet.
pub struct Args {
    options: Vec<(String, Option<String>)>,
}

impl Args {
    /// Splits the words after the program's name into the mode and its options.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<(String, Self), Failure> {
        let mut words = words.into_iter().peekable();
        let mode = words.next().unwrap_or_default();
        let mut options = Vec::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| Failure::new(format!("`{word}` is not an option: options begin with --")))?;
            options.push(match name.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (name.to_owned(), words.next_if(|next| !next.starts_with("--"))),
            });
        }
        Ok((mode, Self { options }))
    }

    /// Whether `--name` is there. It takes no value.
    pub fn switch(&mut self, name: &str) -> Result<bool, Failure> {
        match self.take(name)? {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(value)) => Err(Failure::new(format!("--{name} takes no value, but `{value}` was given"))),
        }
    }

    /// The value of `--name`, if it is there.
    pub fn optional<T>(&mut self, name: &str) -> Result<Option<T>, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        let value = match self.take(name)? {
            None => return Ok(None),
            Some(value) => value.ok_or_else(|| Failure::new(format!("--{name} needs a value")))?,
        };
        let parsed =
            value.parse().map_err(|error| Failure::new(format!("--{name} does not understand `{value}`: {error}")))?;
        Ok(Some(parsed))
    }

    /// The value of `--name`, or its default.
    pub fn value<T>(&mut self, name: &str, default: T) -> Result<T, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// A whole number of at least `least`.
    pub fn count(&mut self, name: &str, default: usize, least: usize) -> Result<usize, Failure> {
        let value = self.value(name, default)?;
        if value < least {
            return Err(Failure::new(format!("--{name} is {value}, but must be {least} or more")));
        }
        Ok(value)
    }

    /// A time in seconds, at most a day.
    pub fn seconds(&mut self, name: &str, default: f64) -> Result<Duration, Failure> {
        let value = self.value(name, default)?;
        if !(0.0..=86_400.0).contains(&value) {
            return Err(Failure::new(format!("--{name} is {value}, but must be from 0 to 86400")));
        }
        Ok(Duration::from_secs_f64(value))
    }

    /// Ends the taking: an option that is left is unknown to the mode.
    pub fn finish(self) -> Result<(), Failure> {
        match self.options.first() {
            None => Ok(()),
            Some((name, _)) => Err(Failure::new(format!("this mode has no option --{name}"))),
        }
    }

    fn take(&mut self, name: &str) -> Result<Option<Option<String>>, Failure> {
        let Some(index) = self.options.iter().position(|(given, _)| given == name) else {
            return Ok(None);
        };
        let (_, value) = self.options.remove(index);
        if self.options.iter().any(|(given, _)| given == name) {
            return Err(Failure::new(format!("--{name} was given twice")));
        }
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(String, Args), Failure> {
        Args::parse(line.split_ascii_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_switches_and_defaults() {
        let (mode, mut args) = parse("echo --port 9001 --json --size=20").expect("a line");
        assert_eq!(mode, "echo");
        assert_eq!(args.optional::<u16>("port").expect("a port"), Some(9001));
        assert!(args.switch("json").expect("a switch"));
        assert!(!args.switch("text").expect("an absent switch"));
        assert_eq!(args.count("size", 1, 0).expect("a size"), 20);
        assert_eq!(args.seconds("seconds", 1.5).expect("a default"), Duration::from_millis(1_500));
        args.finish().expect("nothing left");
    }

    #[test]
    fn mistakes_are_named() {
        let sentence = |result: Result<(), Failure>| result.expect_err("a mistake").to_string();
        let (_, args) = parse("echo --sise 3").expect("a line");
        assert_eq!(sentence(args.finish()), "this mode has no option --sise");
        let (_, mut args) = parse("echo --size x --size 2").expect("a line");
        assert_eq!(sentence(args.count("size", 1, 0).map(drop)), "--size was given twice");
        let (_, mut args) = parse("echo --connections 0 --port").expect("a line");
        let least = "--connections is 0, but must be 1 or more";
        assert_eq!(sentence(args.count("connections", 1, 1).map(drop)), least);
        assert_eq!(sentence(args.optional::<u16>("port").map(drop)), "--port needs a value");
        assert!(parse("echo 17").is_err());
    }
}
