//! What a system that runs out of something says, by name.

use std::io;

/// The name of the error, as Node.js names it, if the process or the system has run out of descriptors,
/// buffers or memory.
pub fn shortage(error: &io::Error) -> Option<&'static str> {
    /// (descriptors of the process, descriptors of the system, buffers, memory)
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CODES: [i32; 4] = [24, 23, 105, 12];
    #[cfg(windows)]
    const CODES: [i32; 4] = [10024, 4, 10055, 8];
    #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
    const CODES: [i32; 4] = [24, 23, 55, 12];
    const NAMES: [&str; 4] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
    let place = CODES.iter().position(|code| error.raw_os_error() == Some(*code))?;
    Some(NAMES[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn has_the_name_of_the_systems_error() {
        for (code, name) in
            [(24, Some("EMFILE")), (23, Some("ENFILE")), (105, Some("ENOBUFS")), (12, Some("ENOMEM")), (22, None)]
        {
            assert_eq!(shortage(&io::Error::from_raw_os_error(code)), name);
        }
    }
}
