//! Every model's parameters and buffers have the names, shapes and order of a PyTorch state_dict.

use smoothout_nn::Network;
use smoothout_tests::golden;

/// One line of a key list: the tensor's name and shape.
type Key = (String, Vec<usize>);

/// The number of classes and the tensors of `golden/keys/NAME.txt`.
fn key_list(text: &str) -> (usize, Vec<Key>) {
    let (header, lines) = text.split_once('\n').unwrap();
    let classes = header.split_whitespace().nth(1).unwrap().parse().unwrap();
    let keys = lines.lines().map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap().to_owned();
        (name, words.map(|word| word.parse().unwrap()).collect())
    });
    (classes, keys.collect())
}

#[test]
fn names_shapes_and_order_are_pytorchs() {
    let mut models = 0;
    for entry in std::fs::read_dir(golden("keys")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (classes, keys) = key_list(&std::fs::read_to_string(&path).unwrap());
        let network = Network::by_name(name, classes).unwrap();

        let (buffers, parameters): (Vec<Key>, Vec<Key>) =
            keys.into_iter().partition(|(name, _)| {
                ["running_mean", "running_var", "num_batches_tracked"]
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
            });
        let blocks = network.parameters().blocks().iter();
        let found: Vec<Key> =
            blocks.map(|block| (block.name().to_owned(), block.shape().to_vec())).collect();
        assert_eq!(found, parameters, "{name}: parameters");

        let mut found: Vec<Key> = Vec::new();
        for block in network.buffers().blocks() {
            found.push((block.name().to_owned(), vec![block.len()]));
            // A counter without extents follows each running_var; it is written, never used.
            if let Some(layer) = block.name().strip_suffix("running_var") {
                found.push((format!("{layer}num_batches_tracked"), Vec::new()));
            }
        }
        assert_eq!(found, buffers, "{name}: buffers");
        models += 1;
    }
    assert_eq!(models, 18);
}
