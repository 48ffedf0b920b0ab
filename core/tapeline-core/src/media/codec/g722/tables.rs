//! Constants of ITU-T G.722, indexed by code rather than by level.

/// Half of the mirror filter's impulse response (table 11), every second coefficient.
pub const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the lower band's quantiser (table 15), times 16, and three that nothing reaches
/// before the last of them.
pub const LOW_DECISIONS: [u16; 32] = [
    560, 1152, 1760, 2400, 3040, 3728, 4416, 5168, 5920, 6752, 7568, 8480, 9392, 10400, 11424,
    12576, 13728, 15040, 16368, 17936, 19504, 21424, 23328, 25792, 28240, 31680, 35120, 40912,
    46704, 65520, 65520, 65520,
];
pub const LOW_LEVELS: u16 = 29;

/// The upper band's single decision level (table 16).
pub const HIGH_DECISION: i32 = 564;

/// Six-bit inverse quantiser, what the decoder hears (QQ6).
pub const LOW_MULTIPLIERS_6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// Four-bit inverse quantiser, what both ends predict from (QQ4), by the code's upper bits.
pub const LOW_MULTIPLIERS_4: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
    1200, 0,
];

/// Steps of the logarithmic scale (WL), by the code's upper bits.
pub const LOW_LOG_STEPS: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// Two-bit inverse quantiser (QQ2) and steps of its scale (WH).
pub const HIGH_MULTIPLIERS: [i32; 4] = [-7408, -1616, 7408, 1616];
pub const HIGH_LOG_STEPS: [i32; 4] = [798, -214, 798, -214];
