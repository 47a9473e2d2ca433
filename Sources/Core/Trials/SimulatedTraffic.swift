internal import CSerinMath

/// How errors and traffic vary.
public enum TrafficScenario: String, Sendable, Hashable, CaseIterable {
    /// Independent events at constant rates.
    case poisson
    /// Rates and traffic wander and spike for both cohorts alike.
    case drift
    /// As drift; each instance wanders too (30 %), differs for good (3 %), and errors come in bursts of 3.
    case bursty
    /// As drift; instances differ for good (10 %), wander a little (10 %), and errors come in bursts of 2.
    case lasting

    /// The relative size of lasting differences between instances.
    var luck: Double {
        switch self {
        case .poisson, .drift: 0
        case .bursty: 0.03
        case .lasting: 0.10
        }
    }

    /// The relative size of an instance's own wandering.
    var wandering: Double {
        switch self {
        case .poisson, .drift: 0
        case .bursty: 0.3
        case .lasting: 0.1
        }
    }

    /// The mean size of a burst of errors.
    var burst: Double {
        switch self {
        case .poisson, .drift: 1
        case .bursty: 3
        case .lasting: 2
        }
    }
}

/// One canary instance and several control instances, step by step. A value: a copy lives the same past and another future.
public struct SimulatedTraffic: Sendable, Hashable {
    private let scenario: TrafficScenario
    private var generator: SeededGenerator
    /// Of the canary first, then of each control instance.
    private let luck: [Double]
    private var wandering: [Double]
    private var commonWandering: Double
    private var trafficWandering: Double
    private let phase: Double
    private var time = 0.0
    private var spikeUntil = -1.0
    private var nextSpike: Double
    /// How many times its mean the rate of errors of each instance is now, without what is wrong with the canary.
    private var levels: [Double] = []

    /// What each instance did in a step.
    public struct Step: Sendable, Hashable {
        /// Requests of each.
        public var exposure: [Double]
        /// How many of them were errors.
        public var events: [Double]
    }

    /// Traffic that begins with a seed.
    ///
    /// - Parameter controls: How many control instances there are.
    public init(_ scenario: TrafficScenario, controls: Int, seed: UInt64) {
        self.scenario = scenario
        var generator = SeededGenerator(seed: seed)
        luck = (0...controls).map { _ in serin_exp(scenario.luck * generator.normal()) }
        wandering = (0...controls).map { _ in generator.normal() }
        commonWandering = generator.normal()
        trafficWandering = generator.normal()
        phase = 2 * Double.pi * generator.uniform()
        nextSpike = -45 * 60 * serin_log(generator.uniform())
        self.generator = generator
    }

    /// Moves on by `seconds`: each instance is offered its requests per second, of which a share `rate` are errors on average,
    /// `multiple` times that in the canary.
    public mutating func step(seconds: Double, load: [Double], rate: Double, multiple: Double) -> Step {
        time += seconds
        let memory = serin_exp(-seconds / 180)
        let push = (1 - memory * memory).squareRoot()
        var traffic = 1.0
        var level = 1.0
        if scenario != .poisson {
            commonWandering = memory * commonWandering + push * generator.normal()
            trafficWandering = memory * trafficWandering + push * generator.normal()
            traffic = (1 + 0.5 * serin_sin(2 * Double.pi * time / 86_400 + phase)) * serin_exp(0.1 * trafficWandering)
            // Over three hours the rate swings by e^±0.5; a wandering of 40 % and spikes of eight times come on top.
            level *= serin_exp(0.5 * serin_sin(2 * Double.pi * time / 10_800 + phase) + 0.4 * commonWandering - 0.08)
            if time >= nextSpike {
                spikeUntil = time + 60 + 60 * generator.uniform()
                nextSpike = spikeUntil - 45 * 60 * serin_log(generator.uniform())
            }
            if time <= spikeUntil { level *= 8 }
        }
        levels = []
        var step = Step(exposure: [], events: [])
        for i in load.indices {
            wandering[i] = memory * wandering[i] + push * generator.normal()
            let own = luck[i] * serin_exp(scenario.wandering * wandering[i] - scenario.wandering * scenario.wandering / 2)
            levels.append(level * own)
            let requests = generator.poisson(load[i] * traffic * seconds)
            step.exposure.append(requests)
            step.events.append(events(of: requests, instance: i, rate: rate, multiple: multiple))
        }
        return step
    }

    /// How many of an instance's requests (or moments) of the latest step had another kind of error.
    public mutating func events(of exposure: Double, instance: Int, rate: Double, multiple: Double) -> Double {
        guard levels.indices.contains(instance) else { return 0 }
        let share = min(0.9, rate * levels[instance] * (instance == 0 ? multiple : 1))
        return min(exposure, generator.bursts(exposure * share, of: scenario.burst))
    }

    /// A value near 1 that differs by 5 % from one reading to the next, as gauges do.
    public mutating func gauge() -> Double { serin_exp(0.05 * generator.normal()) }
}
