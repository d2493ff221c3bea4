// bntrain: layers as they are written on the command line, and as Keras writes them.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bnrun/error.h"
#include "bntrain/data.h"
#include "bntrain/layers.h"
#include "common/program.h"
#include "support/expect_error.h"

namespace bnrun {
namespace {

using Names = std::vector<std::string>;
using train::Activation;
using train::LayerSpec;

/// "dense:32 bn relu ...": what was understood.
struct Understood {
  std::string operator()(const train::Dense& dense) const {
    std::string text = fmt::format("dense:{}{}", dense.units, dense.use_bias ? "" : ":nobias");
    if (dense.initializer != train::Initializer::glorot_uniform)
      text += fmt::format(":{}", name_of(dense.initializer));
    return text + (dense.initial_scale == 1.0 ? "" : fmt::format(":*{}", dense.initial_scale));
  }
  std::string operator()(const train::BatchNormalization& bn) const {
    return fmt::format("bn({},{}{}{})", bn.momentum, bn.epsilon, bn.center ? "" : ",nocenter",
                       bn.scale ? "" : ",noscale");
  }
  std::string operator()(const train::LayerNormalization& ln) const {
    return fmt::format("ln({}{}{})", ln.epsilon, ln.center ? "" : ",nocenter", ln.scale ? "" : ",noscale");
  }
  std::string operator()(const train::Dropout& dropout) const {
    return fmt::format("dropout({})", dropout.rate);
  }
  std::string operator()(const train::LeakyRelu& leaky) const {
    return fmt::format("leaky({})", leaky.alpha);
  }
  std::string operator()(const train::Elu& elu) const { return fmt::format("elu({})", elu.alpha); }
  std::string operator()(const train::Shortcut& shortcut) const {
    return fmt::format("+{}", shortcut.layers);
  }
  static std::string windows(const train::Size2D& size, const train::Size2D& strides,
                             train::Padding padding) {
    return fmt::format("{}x{}/{}x{}{}", size.height, size.width, strides.height, strides.width,
                       padding == train::Padding::same ? ":same" : "");
  }
  std::string operator()(const train::Conv2D& conv) const {
    std::string text =
        fmt::format("conv:{}:{}{}", conv.filters, windows(conv.kernel, conv.strides, conv.padding),
                    conv.use_bias ? "" : ":nobias");
    if (conv.initializer != train::Initializer::glorot_uniform)
      text += fmt::format(":{}", name_of(conv.initializer));
    return text + (conv.initial_scale == 1.0 ? "" : fmt::format(":*{}", conv.initial_scale));
  }
  std::string operator()(const train::Pooling2D& pool) const {
    return fmt::format("{}:{}", pool.kind == train::Pooling2D::Kind::maximum ? "max" : "mean",
                       windows(pool.window, pool.strides, pool.padding));
  }
  std::string operator()(const train::GlobalAveragePooling2D& /*layer*/) const { return "gap"; }
  std::string operator()(const train::Embedding& embedding) const {
    return fmt::format("embed:{}", embedding.columns.size());
  }
  std::string operator()(const train::Flatten& /*layer*/) const { return "flatten"; }
  std::string operator()(Activation kind) const {
    constexpr const char* kNames[] = {"linear", "relu", "tanh", "sigmoid", "softmax", "gelu", "selu"};
    return kNames[static_cast<std::size_t>(kind)];
  }
};

std::string understood(const std::vector<LayerSpec>& layers) {
  Names texts;
  for (const LayerSpec& layer : layers) texts.push_back(std::visit(Understood{}, layer));
  return fmt::format("{}", fmt::join(texts, " "));
}

TEST(Layers, LastDenseTakesTheOutputsAndClassesEndInSoftmax) {
  EXPECT_EQ(understood(parse_layers("dense:8:nobias,bn,relu,dense:4:he,tanh,dense", 3, Task::classification)),
            "dense:8:nobias bn(0.9,0.001) relu dense:4:he_uniform tanh dense:3 softmax");
  EXPECT_EQ(understood(parse_layers("dense:8,sigmoid,dense:1", 1, Task::regression)),
            "dense:8 sigmoid dense:1");
  EXPECT_EQ(understood(parse_layers("dense,softmax", 3, Task::classification)), "dense:3 softmax");
}

TEST(Layers, LabelsEndInSigmoid) {
  EXPECT_EQ(understood(parse_layers("dense:8,relu,dense", 2, Task::multilabel)),
            "dense:8 relu dense:2 sigmoid");
  EXPECT_EQ(understood(parse_layers("dense,sigmoid", 2, Task::multilabel)), "dense:2 sigmoid");
  EXPECT_THROW(parse_layers("dense,softmax", 2, Task::multilabel), cli::UsageError);
}

TEST(Layers, SettingsInBracketsAndBlocksWithinBlocks) {
  const std::pair<const char*, const char*> cases[] = {
      {"dense(8, nobias, scale=2, orthogonal) bn relu dense(3) softmax",
       "dense:8:nobias:orthogonal:*2 bn(0.9,0.001) relu dense:3 softmax"},
      {"bn(momentum=0.5, epsilon=1e-5, nocenter) dense", "bn(0.5,1e-05,nocenter) dense:3 softmax"},
      {"ln(noscale),dropout(0.25) leaky_relu(0.1)\tleaky_relu elu(2) gelu selu dense",
       "ln(0.001,noscale) dropout(0.25) leaky(0.1) leaky(0.3) elu(2) gelu selu dense:3 softmax"},
      {"dense(4) residual(dense(4) bn relu) dense", "dense:4 dense:4 bn(0.9,0.001) relu +3 dense:3 softmax"},
      {"conv(6,5,same) bn relu maxpool(2) conv(16, 3x5, strides=2x1, nobias, he_normal, scale=2) "
       "avgpool(3x2, "
       "strides=2, same) flatten dense",
       "conv:6:5x5/1x1:same bn(0.9,0.001) relu max:2x2/2x2 conv:16:3x5/2x1:nobias:he_normal:*2 "
       "mean:3x2/2x2:same flatten dense:3 softmax"},
      {"conv:3:1:valid maxpool avgpool gap", "conv:3:1x1/1x1 max:2x2/2x2 mean:2x2/2x2 gap softmax"},
      {"residual(dense(4), residual(relu bn), dense(4)) dense",
       "dense:4 relu bn(0.9,0.001) +2 dense:4 +5 dense:3 softmax"}};
  for (const auto& [text, expected] : cases)
    EXPECT_EQ(understood(parse_layers(text, 3, Task::classification)), expected);
}

TEST(Layers, BlocksInTheSameNotation) {
  using Normalization = HiddenLayers::Normalization;
  EXPECT_EQ(layers_text({}), "dense:32,bn,relu,dense:32,bn,relu,dense");
  EXPECT_EQ(layers_text({.units = {4}, .activation = "tanh", .normalization = Normalization::after}),
            "dense:4,tanh,bn,dense");
  EXPECT_EQ(layers_text({.units = {4}, .activation = "linear", .normalization = Normalization::none}),
            "dense:4,dense");
  EXPECT_EQ(layers_text({.units = {4}, .normalization = Normalization::layer, .dropout = 0.25}),
            "dense:4,ln,relu,dropout:0.25,dense");
}

TEST(Layers, WhatIsNotUnderstoodIsAUsageError) {
  for (const char* text : {"",
                           " ",
                           "dense:",
                           "dense:0,dense",
                           "dense:x,dense",
                           "dense:4:fast,dense",
                           "dense,dense",
                           "dense:4,conv,dense",
                           "conv(4) dense",
                           "conv(0,3) dense",
                           "conv(1.5,3) dense",
                           "conv(4,0) dense",
                           "conv(4,3x) dense",
                           "conv(4,3,strides=x) dense",
                           "conv(4,3,same,valid) dense",
                           "conv(4,3,big) dense",
                           "maxpool(2,3) dense",
                           "avgpool(2,strides=0) dense",
                           "gap(2) dense",
                           "flatten(2) dense",
                           "dense:4,",
                           "dense:5",
                           "dense(4",
                           "dense)4(,dense",
                           "dense(1.5) dense",
                           "bn(speed=1) dense",
                           "bn(momentum=fast) dense",
                           "relu(3) dense",
                           "dropout(much) dense",
                           "residual() dense()x",
                           "dense(4),,dense"}) {
    EXPECT_THROW(parse_layers(text, 3, Task::classification), cli::UsageError) << text;
  }
  EXPECT_THROW(parse_layers("dense,softmax", 1, Task::regression), cli::UsageError);
}

/// The message of the invalid_input that `action` throws.
template <class F>
std::string refusal(F&& action) {
  return testing::expect_error(ErrorCode::invalid_input, action);
}

// -------- Keras

/// A model of these layers, as version 2 writes it.
std::string keras(const std::string& layers) {
  return R"({"class_name":"Sequential","config":{"name":"s","layers":[)"
         R"({"class_name":"InputLayer","config":{"batch_input_shape":[null,4],"name":"in"}},)" +
         layers + R"(]},"keras_version":"2.11.0","backend":"tensorflow"})";
}

TEST(Keras, LayersAsToJsonWritesThem) {
  const std::string dense =
      R"({"class_name":"Dense","config":{"name":"a","units":8,"activation":"relu","use_bias":false,)"
      R"("kernel_initializer":{"class_name":"HeNormal","config":{"seed":null}}}},)";
  const std::string head = R"({"class_name":"Dense","config":{"name":"z","units":3,"activation":"softmax"}})";
  const std::pair<std::string, const char*> cases[] = {
      {dense + head, "dense:8:nobias:he_normal relu dense:3 softmax"},
      {R"({"class_name":"BatchNormalization","config":{"momentum":0.99,"epsilon":0.001,"center":true,"scale":false}},)" +
           head,
       "bn(0.99,0.001,noscale) dense:3 softmax"},
      {R"({"class_name":"LayerNormalization","config":{"axis":[1],"epsilon":0.001}},)" + head,
       "ln(0.001) dense:3 softmax"},
      {R"({"class_name":"Dropout","config":{"rate":0.2}},{"class_name":"LeakyReLU","config":{"alpha":0.3}},)" +
           head,
       "dropout(0.2) leaky(0.3) dense:3 softmax"},
      {R"({"class_name":"ELU","config":{"alpha":[1.5]}},{"class_name":"ReLU","config":{"max_value":null}},)" +
           head,
       "elu(1.5) relu dense:3 softmax"},
      {R"({"class_name":"Activation","config":{"activation":"gelu"}},)" + head, "gelu dense:3 softmax"}};
  for (const auto& [layers, expected] : cases)
    EXPECT_EQ(understood(parse_keras(keras(layers), "n.json", 3, Task::classification).layers), expected);
}

TEST(Keras, SettingsThatSayWhatIsDoneAnywayAreTaken) {
  const std::string layers =
      R"({"module":"keras.layers","class_name":"Dense","config":{"name":"d","trainable":true,"units":8,)"
      R"("dtype":{"class_name":"DTypePolicy","config":{"name":"float32"}},"activation":"linear","use_bias":true,)"
      R"("kernel_initializer":{"class_name":"GlorotUniform","config":{"seed":null}},)"
      R"("bias_initializer":{"class_name":"Zeros","config":{}},"kernel_regularizer":null,"activity_regularizer":null}},)"
      R"({"class_name":"BatchNormalization","config":{"axis":[1],"synchronized":false,"dtype":"float32",)"
      R"("gamma_initializer":{"class_name":"Ones","config":{}},"beta_regularizer":null}},)"
      R"({"class_name":"Dropout","config":{"rate":0.5,"noise_shape":null,"seed":7}},)"
      R"({"class_name":"Dense","config":{"units":3,"activation":{"class_name":"LeakyReLU","config":)"
      R"({"negative_slope":0.1}},"kernel_initializer":{"class_name":"VarianceScaling","config":)"
      R"({"scale":4.0,"mode":"fan_in","distribution":"uniform","seed":null}}}})";
  const auto network = parse_keras(keras(layers), "n.json", 3, Task::classification);
  EXPECT_EQ(understood(network.layers),
            "dense:8 bn(0.99,0.001) dropout(0.5) dense:3:lecun_uniform:*2 leaky(0.1) softmax");
  EXPECT_EQ(network.input, (std::vector<std::int64_t>{4}));
}

TEST(Keras, SettingsThatWouldBePassedOverAreRefusedByName) {
  struct Case {
    const char* kind;
    const char* settings;
    const char* message;
  };
  const Case cases[] = {
      {"Dense", R"("units":3.7)", "layer 'c' (Dense): units 3.7, expected a whole number"},
      {"Dense", R"("units":true)", "units true"},
      {"Dense", R"("units":1e30)", "units 1e+30"},
      {"Dense", R"("use_bias":true)", "units is not given"},
      {"Dense", R"("units":4,"use_bias":"no")", R"(use_bias "no", expected true or false)"},
      {"Dense", R"("units":4,"kernel_regularizer":{"class_name":"L2","config":{"l2":0.01}})",
       "layer 'c' (Dense): kernel_regularizer {"},
      {"Dense", R"("units":4,"activity_regularizer":{"class_name":"L1"})", "activity_regularizer {"},
      {"Dense", R"("units":4,"kernel_constraint":{"class_name":"MaxNorm"})", "kernel_constraint {"},
      {"Dense", R"("units":4,"bias_initializer":{"class_name":"Ones","config":{}})", "bias_initializer {"},
      {"Dense", R"("units":4,"bias_initializer":"ones")", R"(bias_initializer "ones")"},
      {"Dense", R"("units":4,"trainable":false)", "trainable false"},
      {"Dense", R"("units":4,"dtype":"mixed_float16")", R"(dtype "mixed_float16")"},
      {"Dense", R"("units":4,"dtype":{"class_name":"DTypePolicy","config":{"name":"bfloat16"}})", "dtype {"},
      {"Dense", R"("units":4,"lora_rank":2)", "lora_rank 2"},
      {"Dense", R"("units":4,"activation":{"class_name":"LeakyReLU","config":{"cap":1}})", "cap 1"},
      {"Dense", R"("units":4,"kernel_initializer":{"class_name":"RandomNormal","config":{"mean":0.5}})",
       "mean 0.5"},
      {"Dense",
       R"("units":4,"kernel_initializer":{"class_name":"VarianceScaling","config":{"mode":"fan_out"}})",
       "mode fan_out"},
      {"BatchNormalization", R"("axis":2)", "layer 'c' (BatchNormalization): axis 2"},
      {"BatchNormalization", R"("axis":[0])", "axis [0]"},
      {"BatchNormalization", R"("renorm":true)", "renorm true"},
      {"BatchNormalization", R"("momentum":"high")", R"(momentum "high", expected a number)"},
      {"BatchNormalization", R"("beta_regularizer":{"class_name":"L2"})", "beta_regularizer"},
      {"LayerNormalization", R"("axis":[1,2])", "axis [1,2]"},
      {"LayerNormalization", R"("rms_scaling":true)", "rms_scaling true"},
      {"Dropout", R"("rate":0.5,"noise_shape":[1,4])", "noise_shape [1,4]"},
      {"ActivityRegularization", R"("l1":0.1)", "l1 0.1"},
      {"Softmax", R"("axis":0)", "axis 0"},
      {"ReLU", R"("max_value":6.0)", "max_value 6.0"},
      {"ReLU", R"("threshold":0.5)", "threshold 0.5"},
      {"ELU", R"("alpha":[1.0,2.0])", "alpha [1.0,2.0], expected a number"}};
  const std::string head = R"({"class_name":"Dense","config":{"name":"z","units":3}})";
  for (const auto& [kind, settings, expected] : cases) {
    const std::string layer =
        fmt::format(R"({{"class_name":"{}","config":{{"name":"c",{}}}}},)", kind, settings);
    const std::string message =
        refusal([&] { parse_keras(keras(layer + head), "n.json", 3, Task::classification); });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(Keras, TextThatNoKerasWritesIsBadInput) {
  const auto deep = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  const auto functional = [](const std::string& nodes) {
    return R"({"class_name":"Functional","config":{"layers":[{"class_name":"InputLayer","config":{"name":"i"},)"
           R"("inbound_nodes":)" +
           nodes + "}]}}";
  };
  const std::pair<std::string, const char*> cases[] = {
      {"", "no JSON"},
      {"\xff", "no JSON"},
      {"null", "this is not what Keras"},
      {R"({"class_name":"Sequential","config":null})", "this is not what Keras"},
      {R"({"class_name":"Sequential","config":3})", "this is not what Keras"},
      {R"({"class_name":3,"config":{}})", "class 3"},
      {R"({"class_name":"Sequential","config":{}})", "there are no layers"},
      {R"({"class_name":"Sequential","config":{"layers":null}})", "there are no layers"},
      {R"({"class_name":"Sequential","config":{"layers":{"a":1}}})", "there are no layers"},
      {R"({"class_name":"Sequential","config":{"layers":[3]}})", "3 is no layer"},
      {R"({"class_name":"Sequential","config":{"layers":[null]}})", "null is no layer"},
      {R"({"class_name":"Sequential","config":{"layers":[{"class_name":7}]}})", "is no layer"},
      {R"({"class_name":"Sequential","config":{"layers":[{"class_name":"Dense","config":3}]}})",
       "its settings are 3"},
      {R"({"class_name":"Sequential","config":{"layers":[{"class_name":"Dense","config":{"name":4,"units":3}}]}})",
       "name 4"},
      {R"({"class_name":"Sequential","config":{"layers":[{"class_name":"InputLayer","config":)"
       R"({"batch_shape":[null,4294967296,4294967296]}}]}})",
       "an input of the shape"},
      {R"({"class_name":"Sequential","config":{"layers":[{"class_name":"InputLayer","config":)"
       R"({"batch_shape":[null,null]}}]}})",
       "an input of the shape"},
      {deep(20000), "nested deeper"},
      {functional(deep(20000)), "nested deeper"},
      {R"({"class_name":"Sequential","config":)" + std::string(1000000, '['), "nested deeper"}};
  for (const auto& [text, expected] : cases) {
    const std::string message =
        refusal([&, &json = text] { parse_keras(json, "n.json", 3, Task::classification); });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(Keras, LayersOfImages) {
  const std::string input = R"({"class_name":"InputLayer","config":{"batch_shape":[null,8,8,3]}},)";
  const std::string conv =
      R"({"class_name":"Conv2D","config":{"filters":4,"kernel_size":[3,2],"strides":[2,1],"padding":"same",)"
      R"("data_format":"channels_last","dilation_rate":[1,1],"groups":1,"use_bias":false,"activation":"relu",)"
      R"("kernel_initializer":{"class_name":"HeNormal","config":{}}}},)"
      R"({"class_name":"BatchNormalization","config":{"axis":[3]}},)"
      R"({"class_name":"MaxPooling2D","config":{"pool_size":[2,2],"strides":null,"padding":"valid"}},)";
  const std::string head = R"({"class_name":"Dense","config":{"units":3}})";
  const auto network_of = [](const std::string& layers) {
    return parse_keras(R"({"class_name":"Sequential","config":{"layers":[)" + layers + "]}}", "n.json", 3,
                       Task::classification);
  };
  const auto flat = network_of(input + conv + R"({"class_name":"Flatten","config":{}},)" + head);
  EXPECT_EQ(understood(flat.layers),
            "conv:4:3x2/2x1:same:nobias:he_normal relu bn(0.99,0.001) max:2x2/2x2 flatten dense:3 softmax");
  EXPECT_EQ(flat.input, (std::vector<std::int64_t>{8, 8, 3}));
  const std::string average =
      R"({"class_name":"AveragePooling2D","config":{"pool_size":3,"strides":1,"padding":"same"}},)"
      R"({"class_name":"GlobalAveragePooling2D","config":{"keepdims":false}},)";
  EXPECT_EQ(
      understood(network_of(conv + average + head).layers),
      "conv:4:3x2/2x1:same:nobias:he_normal relu bn(0.99,0.001) max:2x2/2x2 mean:3x3/1x1:same gap dense:3 "
      "softmax");
  const std::pair<std::string, const char*> refused[] = {
      {input + head, "layer 'Dense': reads images: a Flatten"},
      {input + R"({"class_name":"BatchNormalization","config":{"axis":1}},)" + head, "axis 1"},
      {input + R"({"class_name":"LayerNormalization","config":{"axis":-1}},)" + head,
       "over images is not known"},
      {input + R"({"class_name":"Conv2D","config":{"kernel_size":3}},)" + head, "filters is not given"},
      {input + R"({"class_name":"Conv2D","config":{"filters":3}},)" + head, "kernel_size is not given"},
      {input + R"({"class_name":"Conv2D","config":{"filters":3,"kernel_size":[3]}},)" + head,
       "kernel_size [3]"},
      {input + R"({"class_name":"Conv2D","config":{"filters":3,"kernel_size":3.5}},)" + head,
       "kernel_size 3.5"},
      {input + R"({"class_name":"Conv2D","config":{"filters":3,"kernel_size":3,"groups":3}},)" + head,
       "groups 3"},
      {input + R"({"class_name":"Conv2D","config":{"filters":3,"kernel_size":3,"dilation_rate":2}},)" + head,
       "dilation_rate 2"},
      {input + R"({"class_name":"Conv2D","config":{"filters":3,"kernel_size":3,"padding":"causal"}},)" + head,
       R"(padding "causal")"},
      {input +
           R"({"class_name":"Conv2D","config":{"filters":3,"kernel_size":3,"data_format":"channels_first"}},)" +
           head,
       "data_format"},
      {R"({"class_name":"Dense","config":{"units":4}},)" + conv + head,
       "reads images [height, width, channels]"},
      {conv + R"({"class_name":"GlobalAveragePooling2D","config":{}})", "last Conv2D layer has 4 filters"}};
  for (const auto& [layers, expected] : refused) {
    const std::string message = refusal([&, &text = layers] { network_of(text); });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(Keras, FunctionalModelsThatAreAChain) {
  const auto text = [](const std::string& source) {
    return R"({"class_name":"Functional","config":{"layers":[)"
           R"({"class_name":"InputLayer","config":{"name":"in"},"inbound_nodes":[]},)"
           R"({"class_name":"Dense","config":{"name":"a","units":4},"inbound_nodes":[[["in",0,0,{}]]]},)"
           R"({"class_name":"Dense","config":{"name":"b","units":3},"inbound_nodes":[{"args":[{"class_name":)"
           R"("__keras_tensor__","config":{"keras_history":[")" +
           source + R"(",0,0]}}],"kwargs":{}}]}]}})";
  };
  EXPECT_EQ(understood(parse_keras(text("a"), "n.json", 3, Task::classification).layers),
            "dense:4 dense:3 softmax");
  EXPECT_NE(refusal([&] {
              parse_keras(text("in"), "n.json", 3, Task::classification);
            }).find("layer 'b' (Dense): takes something else"),
            std::string::npos);
}

TEST(Keras, WhatIsNotKnownIsNamed) {
  const std::string head = R"({"class_name":"Dense","config":{"name":"z","units":3}})";
  const std::pair<std::string, const char*> cases[] = {
      {"[]", "n.json: this is not what Keras"},
      {"{", "this is no JSON"},
      {R"({"class_name":"Tree","config":{}})", "class \"Tree\""},
      {keras(R"({"class_name":"Conv3D","config":{"name":"c"}},)" + head),
       "layer 'c' (Conv3D): a Conv3D is not known"},
      {keras(R"({"class_name":"Activation","config":{"name":"c","activation":"mish"}},)" + head), "'mish'"},
      {keras(R"({"class_name":"Dense","config":{"name":"c","units":"many"}},)" + head), "layer 'c' (Dense)"},
      {keras(R"({"class_name":"Dense","config":{"name":"c","units":4}})"), "4 units, the target needs 3"},
      {keras(R"({"class_name":"Dropout","config":{"name":"c"}})"), "no Dense layer"},
      {keras(R"({"class_name":"Dense","config":{"name":"z","units":3,"activation":"sigmoid"}})"),
       "ends in sigmoid"},
      {keras(R"({"class_name":"Dense","config":{"units":3,"kernel_initializer":{"class_name":"Odd"}}})"),
       "odd"}};
  for (const auto& [text, part] : cases) {
    const std::string message =
        refusal([&, &json = text] { parse_keras(json, "n.json", 3, Task::classification); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace bnrun
