#include "recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bnrun/error.h"

namespace bnrun {
namespace {

/// AdamW, unless another optimiser or penalty was asked for.
train::Optimizer chosen_optimizer(const TrainingSettings& settings, const train::Recipe& recipe,
                                  std::int64_t weights) {
  const double rate = settings.learning_rate.value_or(recipe.learning_rate);
  if (settings.optimizer.empty() && settings.fit.l2 == 0.0)
    return train::AdamW{.learning_rate = rate,
                        .weight_decay = settings.weight_decay.value_or(recipe.weight_decay(weights))};
  auto optimizer = optimizer_of(settings);
  if (auto* adam = std::get_if<train::Adam>(&optimizer)) adam->learning_rate = rate;
  if (auto* adam = std::get_if<train::AdamW>(&optimizer)) adam->learning_rate = rate;
  return optimizer;
}

}  // namespace

std::int64_t learned_weights(const train::Network& network) {
  std::int64_t weights = 0;
  for (const auto& layer : network.layers()) weights += layer.trainable;
  return weights;
}

std::optional<train::Recipe> recipe_for(const TrainingSettings& settings, std::int64_t rows, bool open) {
  if (settings.recipe == RecipeChoice::keras) return std::nullopt;
  if (settings.recipe == RecipeChoice::automatic && (open || settings.plateau || settings.patience))
    return std::nullopt;
  return train::choose_recipe(rows, settings.fit.epochs, settings.batch);
}

std::int64_t rows_to_learn_from(std::int64_t rows, double validation) {
  return std::max<std::int64_t>(1, rows - std::llround(validation * static_cast<double>(rows)));
}

void check_watched(const std::string& source, std::int64_t rows, double validation, const char* remedy) {
  const std::int64_t watched = std::llround(validation * static_cast<double>(rows));
  if (validation == 0.0 || (watched > 0 && watched < rows)) return;
  throw Error(ErrorCode::invalid_input,
              fmt::format("{}: --validation {} of {} row{} leaves {} to learn from and {} to watch: it takes "
                          "more rows, or {}",
                          source, validation, rows, rows == 1 ? "" : "s", rows - watched, watched, remedy));
}

void complete(const TrainingSettings& settings, const train::Recipe& recipe, std::int64_t weights,
              train::FitOptions& options) {
  options.batch = recipe.batch;
  options.optimizer = chosen_optimizer(settings, recipe, weights);
  if (settings.schedule.empty()) {
    options.schedule.kind = train::Schedule::Kind::cosine;
    options.schedule.factor = 0.0;
  }
  if (!settings.freeze_from) options.freeze_statistics = recipe.freeze_from;
  // The last fifth, when steps are small and only rounding is left to be learned.
  const int epochs = options.epochs;
  if (!settings.quantise_from) options.quantise_from = epochs < 5 ? 1 : epochs - epochs / 5 + 1;
}

std::string told(const train::FitOptions& options, const train::Recipe& recipe, bool momentum) {
  std::string text = fmt::format("chosen for {} steps, where nothing else was asked for: batch {}",
                                 recipe.steps, options.batch);
  const double rate =
      std::visit([](const auto& optimizer) { return optimizer.learning_rate; }, options.optimizer);
  text += fmt::format(", learning rate {:.2g}", rate);
  if (options.schedule.kind == train::Schedule::Kind::cosine) text += " falling by cosine";
  const auto* adam = std::get_if<train::AdamW>(&options.optimizer);
  if (adam != nullptr && adam->weight_decay > 0.0)
    text += fmt::format(", weight decay {:.2g}", adam->weight_decay);
  if (momentum) text += fmt::format(", BatchNormalization momentum {:.3g}", recipe.bn_momentum);
  if (options.freeze_statistics)
    text += fmt::format("{} statistics frozen from epoch {}", momentum ? " and its" : ", running",
                        *options.freeze_statistics);
  return text + "; --recipe keras takes Keras's defaults";
}

}  // namespace bnrun
