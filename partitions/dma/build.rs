fn main() {
    rt_link::partition();
}
