//! Figures as people read them: three digits that matter, a unit, and a thousands separator.

/// `1234567` as `1,234,567`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The same of what has fractions: rounds to a whole number.
pub fn whole(value: f64) -> String {
    let sign = if value < -0.5 { "−" } else { "" };
    format!("{sign}{}", grouped(value.abs().round_ties_even() as u64))
}

/// Bytes to the last one: `3,456 B`.
pub fn exact_bytes(value: f64) -> String {
    format!("{} B", whole(value))
}

/// Three significant digits: `0.123`, `1.23`, `12.3`, `123`, `1,234`.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 99.95 => whole(value),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// With a decimal prefix where it is large: `950`, `12.3 k`, `1.23 M`.
pub fn count(value: f64) -> String {
    match value.abs() {
        size if size >= 999_500_000.0 => format!("{} G", short(value / 1e9)),
        size if size >= 999_500.0 => format!("{} M", short(value / 1e6)),
        size if size >= 9_999.5 => format!("{} k", short(value / 1e3)),
        size if size >= 999.5 => whole(value),
        _ => short(value),
    }
}

/// For an axis that ends at `end`: all its ticks in one unit, with as few digits as it takes: `0`, `50 k`, `1.5 M`.
pub fn axis(value: f64, end: f64) -> String {
    let (scaled, prefix) = match end {
        end if end >= 1e9 => (value / 1e9, " G"),
        end if end >= 1e6 => (value / 1e6, " M"),
        end if end >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    if prefix.is_empty() && scaled.abs() >= 1e3 { whole(scaled) } else { with_prefix(scaled, prefix) }
}

/// The same for bytes: `0`, `50 MiB`.
pub fn axis_bytes(value: f64, end: f64) -> String {
    const UNITS: [&str; 5] = [" B", " KiB", " MiB", " GiB", " TiB"];
    let unit = ((end.max(1.0).log2() / 10.0) as usize).min(UNITS.len() - 1);
    with_prefix(value / 1024f64.powi(unit as i32), UNITS[unit])
}

fn with_prefix(scaled: f64, prefix: &str) -> String {
    let text = format!("{scaled:.3}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "0" => "0".into(),
        digits => format!("{digits}{prefix}"),
    }
}

/// Microseconds with the unit that suits: `950 ns`, `3.42 µs`, `1.20 ms`, `2.00 s`.
pub fn micros(value: f64) -> String {
    match value.abs() {
        size if size >= 999_500.0 => format!("{} s", short(value / 1e6)),
        size if size >= 999.5 => format!("{} ms", short(value / 1e3)),
        size if size >= 0.9995 => format!("{} µs", short(value)),
        0.0 => "0".into(),
        _ => format!("{} ns", whole(value * 1e3)),
    }
}

/// Bytes with a binary prefix: `272 B`, `16 KiB`, `1.50 GiB`.
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if value.abs() < 1024.0 {
        return format!("{value:.0} B");
    }
    let mut scaled = value / 1024.0;
    let mut unit = 0;
    while scaled.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let text = if scaled.fract() == 0.0 { whole(scaled) } else { short(scaled) };
    format!("{text} {}", UNITS[unit])
}

/// How many times: `1.04×`.
pub fn ratio(value: f64) -> String {
    if value.is_finite() {
        format!("{}×", if value >= 9.995 { short(value) } else { format!("{value:.2}") })
    } else {
        "–".into()
    }
}

/// A figure that servers are compared by: what a difference of a few per cent shows in.
pub fn compared(name: &str, value: f64) -> String {
    if name.ends_with("_per_second") {
        count(value)
    } else if name.contains("bytes_per_") {
        exact_bytes(value)
    } else if name.starts_with("deflate_ratio") {
        format!("{value:.2}")
    } else {
        figure(name, value)
    }
}

/// A figure by the unit that ends its name, which is how the schema names them.
pub fn figure(name: &str, value: f64) -> String {
    if name.ends_with("_us") || name.contains("_us_") {
        micros(value)
    } else if name.contains("bytes_per_second") {
        format!("{}/s", bytes(value))
    } else if name.contains("bytes") {
        bytes(value)
    } else if name.ends_with("_percent") {
        format!("{value:.0} %")
    } else if name.ends_with("_s") {
        format!("{} s", short(value))
    } else if value.fract() == 0.0 {
        whole(value)
    } else {
        short(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(whole(0.0), "0");
        assert_eq!(whole(999.4), "999");
        assert_eq!(whole(1_234_567.0), "1,234,567");
        assert_eq!(whole(-1_000.0), "−1,000");
    }

    #[test]
    fn three_digits_matter() {
        let shown: Vec<String> = [0.0, 0.1234, 1.0, 9.999, 12.34, 123.4, 1234.0].map(short).into();
        assert_eq!(shown, ["0", "0.123", "1.00", "10.0", "12.3", "123", "1,234"]);
    }

    #[test]
    fn prefixes_change_where_a_digit_would_be_lost() {
        let shown: Vec<String> =
            [7.0, 999.9, 9_999.0, 9_999.9, 285_700.0, 999_600.0, 1.5e9].map(count).into();
        assert_eq!(shown, ["7.00", "1,000", "9,999", "10.0 k", "286 k", "1.00 M", "1.50 G"]);
    }

    #[test]
    fn the_ticks_of_an_axis_share_its_unit() {
        assert_eq!([0.0, 5_000.0, 20_000.0].map(|tick| axis(tick, 20_000.0)), ["0", "5 k", "20 k"]);
        assert_eq!([0.5, 1.0].map(|tick| axis(tick, 1.0)), ["0.5", "1"]);
        assert_eq!([500.0, 2_000.0].map(|tick| axis(tick, 2_000.0)), ["500", "2,000"]);
        assert_eq!([0.0, 52_428_800.0].map(|tick| axis_bytes(tick, 209_715_200.0)), ["0", "50 MiB"]);
    }

    #[test]
    fn times_and_sizes_carry_their_unit() {
        let times: Vec<String> = [0.95, 3.416, 1_204.0, 2_000_000.0].map(micros).into();
        assert_eq!(times, ["950 ns", "3.42 µs", "1.20 ms", "2.00 s"]);
        let sizes: Vec<String> =
            [20.0, 1024.0, 16_384.0, 1_048_576.0, 1.5 * 1_073_741_824.0].map(bytes).into();
        assert_eq!(sizes, ["20 B", "1 KiB", "16 KiB", "1 MiB", "1.50 GiB"]);
        assert_eq!(ratio(1.042), "1.04×");
        assert_eq!(ratio(f64::INFINITY), "–");
    }

    #[test]
    fn a_name_decides_the_unit() {
        assert_eq!(figure("p99_us", 1500.0), "1.50 ms");
        assert_eq!(figure("anonymous_bytes_per_user", 353.0), "353 B");
        assert_eq!(figure("server_cpu_us_per_message", 3.4), "3.40 µs");
        assert_eq!(figure("anonymous_bytes_per_connection", 272.0), "272 B");
        assert_eq!(figure("server_cpu_percent", 97.3), "97 %");
        assert_eq!(figure("connections", 20_000.0), "20,000");
    }
}
