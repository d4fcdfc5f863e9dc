//! Durations and sizes as people write them.

use std::time::Duration;

/// Reads `500ms`, `25s`, `2m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (value, unit) = split(text)?;
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" => return Err("a duration needs a unit: 500ms, 25s, 2m".to_owned()),
        _ => return Err(format!("{unit} is no unit of time: use ms, s, m or h")),
    };
    Duration::try_from_secs_f64(value * seconds).map_err(|error| error.to_string())
}

/// Reads `20`, `64KiB`, `1MiB`, `2GiB`, in bytes.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (value, unit) = split(text)?;
    let factor =
        size_factor(unit).ok_or_else(|| format!("{unit} is no unit of size: use KiB, MiB or GiB"))?;
    Ok((value * factor) as u64)
}

/// The bytes of a unit of size.
pub fn size_factor(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    })
}

/// A number, and the unit that follows it.
pub fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let value = text[..end].replace('_', "").parse().map_err(|_| format!("{text}: a number was expected"))?;
    Ok((value, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("5").is_err() && duration("5 parsecs").is_err() && duration("s").is_err());
        assert_eq!(bytes("20"), Ok(20));
        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert!(bytes("many").is_err() && bytes("1TB").is_err());
    }
}
