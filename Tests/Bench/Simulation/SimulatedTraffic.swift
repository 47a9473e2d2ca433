internal import Glibc

/// How errors and traffic vary.
enum TrafficScenario: String, CaseIterable {
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
struct SimulatedTraffic {
    let scenario: TrafficScenario
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

    /// What each instance did in a step.
    struct Step {
        var exposure: [Double]
        var events: [Double]
    }

    init(_ scenario: TrafficScenario, controls: Int, seed: UInt64) {
        self.scenario = scenario
        var generator = SeededGenerator(seed: seed)
        luck = (0...controls).map { _ in exp(scenario.luck * generator.normal()) }
        wandering = (0...controls).map { _ in generator.normal() }
        commonWandering = generator.normal()
        trafficWandering = generator.normal()
        phase = 2 * Double.pi * generator.uniform()
        nextSpike = -45 * 60 * log(generator.uniform())
        self.generator = generator
    }

    /// Moves on by `seconds`: each instance is offered its requests per second, of which a share `rate` are errors on average,
    /// `multiple` times that in the canary.
    mutating func step(seconds: Double, load: [Double], rate: Double, multiple: Double) -> Step {
        time += seconds
        let memory = exp(-seconds / 180)
        let push = (1 - memory * memory).squareRoot()
        var traffic = 1.0
        var level = rate
        if scenario != .poisson {
            commonWandering = memory * commonWandering + push * generator.normal()
            trafficWandering = memory * trafficWandering + push * generator.normal()
            traffic = (1 + 0.5 * sin(2 * Double.pi * time / 86_400 + phase)) * exp(0.1 * trafficWandering)
            // Over three hours the rate swings by e^±0.5; a wandering of 40 % and spikes of eight times come on top.
            level *= exp(0.5 * sin(2 * Double.pi * time / 10_800 + phase) + 0.4 * commonWandering - 0.08)
            if time >= nextSpike {
                spikeUntil = time + 60 + 60 * generator.uniform()
                nextSpike = spikeUntil - 45 * 60 * log(generator.uniform())
            }
            if time <= spikeUntil { level *= 8 }
        }
        var step = Step(exposure: [], events: [])
        for i in load.indices {
            wandering[i] = memory * wandering[i] + push * generator.normal()
            let own = luck[i] * exp(scenario.wandering * wandering[i] - scenario.wandering * scenario.wandering / 2)
            let requests = generator.poisson(load[i] * traffic * seconds)
            let share = min(0.9, level * own * (i == 0 ? multiple : 1))
            step.exposure.append(requests)
            step.events.append(min(requests, generator.bursts(requests * share, of: scenario.burst)))
        }
        return step
    }
}
